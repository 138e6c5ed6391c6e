; Internal symbols get the unit's suffix, external ones do not.
target triple = "x86_64-unknown-linux-musl"
@shared = global i32 1
@own = internal global i32 2
@.str = private unnamed_addr constant [3 x i8] c"hi\00"
@0 = private constant i32 7
define internal ptr @helper() noinline {
  %a = load i32, ptr @own
  %b = load i32, ptr @0
  ret ptr @.str
}
define ptr @entry() {
  %r = call ptr @helper()
  ret ptr %r
}
