; A variadic definition, calls with integers, doubles, an aligned and a copied aggregate, and a call without prototype.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
%big = type { i64, i64, i64 }
declare void @llvm.va_start.p0(ptr)
declare void @llvm.va_end.p0(ptr)
declare void @llvm.va_copy.p0(ptr, ptr)
declare i32 @print(ptr, ...)
declare i32 @unprototyped(...)

define void @start(i32 %n, ptr %list, ptr %other, ...) {
  call void @llvm.va_start.p0(ptr %list)
  call void @llvm.va_copy.p0(ptr %other, ptr %list)
  call void @llvm.va_end.p0(ptr %list)
  ret void
}

define i32 @calls(ptr %format, ptr %aggregate, i128 %wide) {
  %a = call i32 (ptr, ...) @print(ptr %format, i32 1, double 2.0, i128 %wide)
  %b = call i32 (ptr, ...) @print(ptr %format, ptr byval(%big) align 8 %aggregate, ptr null)
  %c = call i32 (ptr, ...) @print(ptr %format)
  %d = call i32 (...) @unprototyped(i32 %a, i32 %b)
  ret i32 %d
}
