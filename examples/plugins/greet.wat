;; The plugin of the examples: it greets whom the request names.
;;
;; The host writes a request of at most 1,024 bytes where `input` says, calls `handle` with its
;; length, and reads an answer of as many bytes as that returns where `output` says.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "Hello, !")
  (global (export "input") i32 (i32.const 1024))
  (global (export "output") i32 (i32.const 2048))

  (func (export "handle") (param $length i32) (result i32)
    (local $written i32)
    (local.set $written (call $append (i32.const 0) (i32.const 0) (i32.const 7)))
    (local.set $written (call $append (local.get $written) (i32.const 1024) (local.get $length)))
    (call $append (local.get $written) (i32.const 7) (i32.const 1)))

  ;; Puts `length` bytes from `from` behind the `written` bytes of the answer. Returns how many
  ;; bytes it has then.
  (func $append (param $written i32) (param $from i32) (param $length i32) (result i32)
    (memory.copy
      (i32.add (i32.const 2048) (local.get $written))
      (local.get $from)
      (local.get $length))
    (i32.add (local.get $written) (local.get $length))))
