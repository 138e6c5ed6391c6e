; Fixed, over-aligned and dynamic locals move where the function can be suspended, and stay where it cannot.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
declare void @elsewhere(ptr)
declare void @leaf(ptr)
declare void @llvm.lifetime.start.p0(ptr)
declare ptr @llvm.stacksave.p0()
declare void @llvm.stackrestore.p0(ptr)
define void @moves() {
  %a = alloca i32, align 4
  %b = alloca [3 x i64], align 16
  call void @llvm.lifetime.start.p0(ptr %a)
  call void @elsewhere(ptr %a)
  call void @elsewhere(ptr %b)
  ret void
}
define void @over_aligned() {
  %a = alloca i32, align 64
  call void @elsewhere(ptr %a)
  ret void
}
define void @dynamic(i64 %n) {
  %s = call ptr @llvm.stacksave.p0()
  %a = alloca i32, i64 %n, align 16
  call void @elsewhere(ptr %a)
  call void @llvm.stackrestore.p0(ptr %s)
  ret void
}
define void @stays() {
  %a = alloca i32, align 4
  call void @leaf(ptr %a)
  ret void
}
