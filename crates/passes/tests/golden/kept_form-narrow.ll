; Truth values and bytes that calls keep are kept as words.
target triple = "x86_64-unknown-linux-musl"
declare void @act()
define i32 @narrow(ptr %p, i1 %flag) {
entry:
  %byte = load i8, ptr %p
  br i1 %flag, label %both, label %one
both:
  %phi_flag = phi i1 [ %flag, %entry ]
  call void @act()
  br label %one
one:
  %seen = phi i1 [ %phi_flag, %both ], [ true, %entry ]
  call void @act()
  %is_set = icmp eq i8 %byte, 3
  %both_set = and i1 %is_set, %seen
  br i1 %flag, label %yes, label %no
yes:
  ret i32 1
no:
  %result = zext i1 %both_set to i32
  ret i32 %result
}
declare i8 @byte()
define i8 @result() {
  %byte = call i8 @byte()
  call void @act()
  %sum = add i8 %byte, 1
  ret i8 %sum
}
