; Thread-local variables, own and of other units, become offsets from the thread pointer.
target triple = "x86_64-unknown-linux-musl"
@count = thread_local global i32 5
@scratch = internal thread_local global [4 x i64] zeroinitializer
@elsewhere = external thread_local global i32
declare ptr @llvm.threadlocal.address.p0(ptr)
define i32 @read() {
  %a = call ptr @llvm.threadlocal.address.p0(ptr @count)
  %b = call ptr @llvm.threadlocal.address.p0(ptr @elsewhere)
  %s = call ptr @llvm.threadlocal.address.p0(ptr @scratch)
  %x = load i32, ptr %a
  %y = load i32, ptr %b
  store i64 1, ptr %s
  %z = add i32 %x, %y
  ret i32 %z
}
