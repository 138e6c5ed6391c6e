; A value live across a call goes into the record; the clone reloads it and takes the inner result.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
declare i64 @elsewhere(i64)
define i64 @f(i64 %a, double %d) {
  %r = call i64 @elsewhere(i64 %a)
  %i = fptosi double %d to i64
  %s = add i64 %r, %i
  ret i64 %s
}
