; An aggregate passed by copy and one returned through a hidden pointer.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
%big = type { i64, i64, i64 }
declare void @take(ptr byval(%big) align 8)
declare void @give(ptr sret(%big) align 8)

define i64 @pass_on(ptr byval(%big) align 8 %own, ptr %there) {
  call void @give(ptr sret(%big) align 8 %there)
  tail call void @take(ptr byval(%big) align 8 %own)
  ret i64 0
}
