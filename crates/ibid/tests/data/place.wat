;; A function whose code differs with the place of its imported global. `PADS` stands for
;; imported functions of the first type.
(module
 (type (;0;) (func (param i32 i32 i64 i64) (result i32)))
  PADS
  (import "" "" (global (;0;) i32))
 (func $f (type 0) i32.const 0)
  (func $g (type 0) (param i32 i32 i64 i64) (result i32)
    (local i32 i32 i64 i64)
    i32.const 1162681
    local.get 4
    i32.div_s
    i32.const 1162672
    i32.eq
    i32.const 1162680
    i32.const 1000
    i32.shr_s
    i32.extend16_s
    i32.clz
    i32.xor
    global.set 1
    i64.const 1000
    i32.load 1 align=1
    i32.const 1162688
    i32.const 1162680
    i32.rem_u
    i32.add
    i64.extend_i32_s
    i64.load32_u align=1
    local.get 6
    local.get 5
    i32.const 1162680
    i32.gt_u
    i64.const 1162684
    i64.const 1163680
    i64.eq
    i64.const 127
    local.get 6
    i64.add
    i32.const 1162680
    i64.extend_i32_u
    call $f
    i64.extend_i32_u
    i64.const 1162681
    i64.rotl
    memory.copy
    i64.const 1162672
    i32.const 1162681
    i64.const 1162680
    i64.const -4
    i64.const 1162680
    i64.rem_u
    i64.popcnt
    local.get 7
    i64.rotl
    i64.rem_u
    memory.fill 1
    local.get 1
    i32.const 1163680
    i32.rotl
    i32.const 1162688
    local.get 1
    i32.rotl
    i32.div_u
    global.get 0
    f64.convert_i32_u
    i32.trunc_sat_f64_u
    i32.sub
    i64.const 1162672
    i64.extend16_s
    i32.wrap_i64
    i32.const 4096
    i32.eqz
    i32.and
    i32.le_s
    if  ;; label = @1
      loop  ;; label = @2
        i64.const 1162684
        local.set 7
      end
      i32.const 10
      i64.extend_i32_s
      i64.const 1162672
      i64.gt_s
      i32.const 65535
      i32.const 3
      i32.sub
      i32.extend16_s
      i32.le_s
      if  ;; label = @2
        loop  ;; label = @3
          i64.const 65535
          i64.load32_s 1 offset=4 align=1
          local.set 2
          i64.const 1162696
          i32.load16_u offset=1162681 align=1
          local.set 4
        end
      else
        i64.const 1162688
        i64.const -16
        i64.mul
        i32.wrap_i64
        local.set 0
        i64.const 1162688
        i64.const 1162680
        i64.clz
        i64.const 1163680
        i64.rotl
        i64.const 1163680
        memory.copy 0 1
      end
    end
    i64.const 2216
    local.get 5
    i64.extend_i32_s
    i64.add
    i32.const 1023
    i64.extend_i32_u
    local.get 3
    i64.const 1162676
    i32.const 1162680
    i32.extend8_s
    select
    i64.load16_s offset=4096 align=1
    i64.shl
    i64.const 5000
    memory.copy 0 1
    i32.const 1162696
    local.tee 5
    drop
    local.get 2
    local.get 6
    i32.const 1162696
    select
    i64.load8_u 1 offset=4096
    local.get 2
    i64.const 2
    i64.shr_u
    i64.rem_s
    i64.extend32_s
    global.get 0
    i64.extend_i32_s
    i64.ge_s)
  (memory (;0;) i64 2 4000)
  (memory (;1;) i64 1)
  (global (;1;) (mut i32) (i32.const 64))
 (export "f0" (func $f))
 (export "f1" (func $g))
)