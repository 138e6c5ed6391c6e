; An unbounded loop and a recursive function get a point; a short loop and a leaf of the libc do not.
target triple = "x86_64-unknown-linux-musl"
define i64 @unbounded(i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %out
out:
  ret i64 %next
}
define i64 @short(ptr %p) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %more = icmp ne i64 %next, 64
  br i1 %more, label %loop, label %out
out:
  ret i64 %next
}
define i64 @recursive(i64 %n) {
  %zero = icmp eq i64 %n, 0
  br i1 %zero, label %out, label %deeper
deeper:
  %less = sub i64 %n, 1
  %r = call i64 @recursive(i64 %less)
  br label %out
out:
  %result = phi i64 [ 0, %0 ], [ %r, %deeper ]
  ret i64 %result
}
define i64 @leaf(i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %out
out:
  ret i64 %next
}
