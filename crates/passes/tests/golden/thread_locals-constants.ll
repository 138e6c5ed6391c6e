; Addresses of thread-local variables as constants, which older code has: alone, within expressions, and in phis.
target triple = "x86_64-unknown-linux-musl"
@pair = linkonce_odr thread_local global { i64, i64 } zeroinitializer
declare void @use(ptr, i64)
define ptr @constants(i8 %which) {
  %first = load i64, ptr @pair
  store i64 %first, ptr getelementptr inbounds nuw ({ i64, i64 }, ptr @pair, i64 0, i32 1)
  call void @use(ptr @pair, i64 sub (i64 ptrtoint (ptr @pair to i64), i64 8))
  switch i8 %which, label %end [
    i8 1, label %yes
    i8 2, label %end
  ]
yes:
  br label %end
end:
  %address = phi ptr [ @pair, %0 ], [ @pair, %0 ], [ getelementptr (i8, ptr @pair, i64 8), %yes ]
  ret ptr %address
}
