; Inline functions: the copy that is called may be another unit's, which has a loop, or calls what has one.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
$inline = comdat any
define linkonce_odr i64 @inline(i64 %n) comdat {
  %double = shl i64 %n, 1
  ret i64 %double
}
define weak_odr i64 @instance(i64 %n) {
  %double = shl i64 %n, 1
  ret i64 %double
}
define i64 @exact(i64 %n) {
  %double = shl i64 %n, 1
  ret i64 %double
}
define i64 @caller(i64 %n, i64 %rest) {
  %first = call i64 @inline(i64 %n)
  %second = call i64 @instance(i64 %first)
  %third = call i64 @exact(i64 %second)
  %sum = add i64 %third, %rest
  ret i64 %sum
}
