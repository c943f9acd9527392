"""Loads what `ibid compile` has made, and asks it for a greeting.

    python greet.py greet.cwasm [NAME]
"""

import sys

from wasmtime import Engine, Instance, Module, Store, WasmtimeError

# What the plugin has room for.
MAX_REQUEST_BYTES = 1024


def load(engine: Engine, path: str) -> Module:
    """The compiled module in the file at `path`.

    It is machine code, and what it says is done, sandbox or not: load what you have made, and
    nothing from elsewhere.
    """
    try:
        return Module.deserialize_file(engine, path)
    except WasmtimeError as error:
        sys.exit(
            f"cannot load `{path}`: {error}\n"
            "It has to be compiled with the settings of this engine: README.md says which."
        )


def greet(engine: Engine, module: Module, name: str) -> str:
    """The plugin's answer to `name`; `greet.wat` says how it is asked."""
    request = name.encode()
    if len(request) > MAX_REQUEST_BYTES:
        sys.exit(f"a name of at most {MAX_REQUEST_BYTES} bytes, please")
    store = Store(engine)
    exports = Instance(store, module, []).exports(store)
    memory = exports["memory"]
    memory.write(store, request, exports["input"].value(store))
    length = exports["handle"](store, len(request))
    start = exports["output"].value(store)
    return memory.read(store, start, start + length).decode()


def main() -> None:
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    name = sys.argv[2] if len(sys.argv) == 3 else "world"
    engine = Engine()
    print(greet(engine, load(engine, sys.argv[1]), name))


if __name__ == "__main__":
    main()
