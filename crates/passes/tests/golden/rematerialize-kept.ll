; A cheap value that would be kept across a call is computed after it if what it derives from is kept anyway; else it is kept.
target triple = "x86_64-unknown-linux-musl"
declare void @elsewhere()
define i32 @f(i32 %x, i32 %y) {
  %both = and i32 %x, %y
  call void @elsewhere()
  %sum = add i32 %x, %y
  %result = xor i32 %sum, %both
  ret i32 %result
}
define i32 @g(i32 %x, i32 %y) {
  %both = and i32 %x, %y
  call void @elsewhere()
  %result = xor i32 %x, %both
  ret i32 %result
}
