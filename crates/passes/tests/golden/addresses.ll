; One address computed on two ways, and phis of it, round a loop as well.
target triple = "x86_64-unknown-linux-musl"
declare void @act(ptr)
define void @field(ptr %s, i1 %way, i64 %n) {
entry:
  br i1 %way, label %left, label %right
left:
  %a = getelementptr inbounds i8, ptr %s, i64 40
  store i32 1, ptr %a
  br label %loop
right:
  %b = getelementptr inbounds nuw i8, ptr %s, i64 40
  br label %loop
loop:
  %address = phi ptr [ %a, %left ], [ %b, %right ], [ %same, %next ]
  %other = phi ptr [ %s, %left ], [ null, %right ], [ %other, %next ]
  %i = phi i64 [ 0, %left ], [ 0, %right ], [ %j, %next ]
  call void @act(ptr %address)
  call void @act(ptr %other)
  br label %next
next:
  %same = phi ptr [ %address, %loop ]
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
define i8 @before(ptr %p) {
  %narrow = getelementptr i8, ptr %p, i32 -1
  call void @act(ptr %narrow)
  %byte = load i8, ptr %narrow
  ret i8 %byte
}
