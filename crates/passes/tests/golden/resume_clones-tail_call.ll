; A target that is called, kept for the record, and jumped to: code generation must find registers for it.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-musl"
@errors=external global i32
define i32 @compare(ptr noundef readonly captures(none) %0, ptr noundef readonly captures(none) %1) nounwind {
  %3 = getelementptr inbounds nuw i8, ptr %0, i64 8
  %4 = load ptr, ptr %3, align 8
  %5 = load i32, ptr %1, align 8
  %6 = icmp eq i32 %5, 0
  br i1 %6, label %14, label %7

7:                                                ; preds = %2
  %8 = load i32, ptr %0, align 8
  %9 = tail call i32 %4(i32 noundef %8)
  %10 = icmp eq i32 %9, 0
  br i1 %10, label %14, label %11

11:                                               ; preds = %7
  %12 = load i32, ptr @errors, align 4
  %13 = add nsw i32 %12, 1
  store i32 %13, ptr @errors, align 4
  br label %14

14:                                               ; preds = %11, %7, %2
  %15 = tail call i32 %4(i32 noundef %5)
  ret i32 %15
}
