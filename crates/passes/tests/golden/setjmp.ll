; setjmp and sigsetjmp become markers; sigsetjmp keeps the signal mask.
target triple = "x86_64-unknown-linux-musl"
declare i32 @setjmp(ptr) returns_twice
declare i32 @sigsetjmp(ptr, i32) returns_twice
define i32 @both(ptr %one, ptr %two) {
  %a = call i32 @setjmp(ptr %one) returns_twice
  %b = call i32 @sigsetjmp(ptr %two, i32 1) returns_twice
  %c = add i32 %a, %b
  ret i32 %c
}
