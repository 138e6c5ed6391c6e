; setjmp writes its record inline, and returns for the second time in the clone only.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
declare i32 @setjmp(ptr) returns_twice
declare void @elsewhere()
define i64 @f(ptr %buffer, i64 %a) {
  %r = call i32 @setjmp(ptr %buffer) returns_twice
  %again = icmp ne i32 %r, 0
  br i1 %again, label %out, label %go
go:
  call void @elsewhere()
  br label %out
out:
  ret i64 %a
}
