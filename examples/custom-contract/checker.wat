;; A component of acme:spell@0.1.0, by hand: `checker.wasm` is made of it with the WIT beside it. In Rust it would be
;; a few lines over wit-bindgen, see the README.
(module
  (import "acme:spell/dictionary@0.1.0" "contains" (func $contains (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Where the next allocation is. Everything is given back when the call's store ends.
  (global $top (mut i32) (i32.const 1024))

  (func $grow_to (param $end i32)
    (local $missing i32)
    (local.set $missing (i32.sub (local.get $end) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq
              (memory.grow (i32.add (i32.div_u (local.get $missing) (i32.const 65536)) (i32.const 1)))
              (i32.const -1))
          (then unreachable)))))

  (func $allocate (param $bytes i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $bytes)))
    (call $grow_to (global.get $top))
    (local.get $at))

  ;; The text is placed here by the host, and nothing is ever made larger.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $allocate (local.get 3)))

  ;; (text, length) -> where the pair (list, count) stands. A list is pairs (word, length), made in the order of the words
  ;; and long enough for one word of every two bytes.
  (func (export "acme:spell/checker@0.1.0#check") (param $text i32) (param $len i32) (result i32)
    (local $answer i32) (local $list i32) (local $count i32)
    (local $end i32) (local $at i32) (local $word i32)
    (local.set $answer (call $allocate (i32.const 8)))
    (local.set $list
      (call $allocate (i32.mul (i32.add (i32.div_u (local.get $len) (i32.const 2)) (i32.const 1)) (i32.const 8))))
    (local.set $end (i32.add (local.get $text) (local.get $len)))
    (local.set $at (local.get $text))
    (local.set $word (local.get $text))
    (loop $letters
      ;; At the end or at a space, what stands since $word is a word, unless it is empty.
      (if (i32.or
            (i32.eq (local.get $at) (local.get $end))
            (i32.eq (call $byte (local.get $at) (local.get $end)) (i32.const 32)))
        (then
          (if (i32.ne (local.get $at) (local.get $word))
            (then
              (if (i32.eqz (call $contains (local.get $word) (i32.sub (local.get $at) (local.get $word))))
                (then
                  (i32.store
                    (i32.add (local.get $list) (i32.mul (local.get $count) (i32.const 8)))
                    (local.get $word))
                  (i32.store offset=4
                    (i32.add (local.get $list) (i32.mul (local.get $count) (i32.const 8)))
                    (i32.sub (local.get $at) (local.get $word)))
                  (local.set $count (i32.add (local.get $count) (i32.const 1)))))))
          (local.set $word (i32.add (local.get $at) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $letters (i32.le_u (local.get $at) (local.get $end))))
    (i32.store (local.get $answer) (local.get $list))
    (i32.store offset=4 (local.get $answer) (local.get $count))
    (local.get $answer))

  ;; The byte there, or 0 at the end.
  (func $byte (param $at i32) (param $end i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $at) (local.get $end))
      (then (i32.load8_u (local.get $at)))
      (else (i32.const 0)))))
