/*
 * switch_x86_64.S: the context switch on x86-64 (System V calling convention).
 *
 * A call preserves rbx, rbp, r12-r15 and rsp, so these are all that a switch
 * must keep. The floating-point control words are preserved by calls, too, but
 * nothing in neap changes them, so all stacks share the thread's.
 *
 * A suspended stack, from low to high:
 *
 *	context -> r15 r14 r13 r12 rbx rbp  return address
 *
 * On a prepared stack the return address is switch_begin, r12 is the entry
 * function and r13 its argument.
 */
	.text

/* void *switch_prepare(void *stack_low, size_t bytes, void (*entry)(void *), void *arg) */
	.globl	switch_prepare
	.hidden	switch_prepare
	.type	switch_prepare, @function
	.p2align 4
switch_prepare:
	.cfi_startproc
	leaq	(%rdi, %rsi), %rax
	andq	$-16, %rax
	/* 56 bytes of context end 16 bytes below the top: switch_begin finds rsp aligned. */
	subq	$72, %rax
	xorl	%r8d, %r8d
	movq	%r8, 0(%rax)
	movq	%r8, 8(%rax)
	movq	%rcx, 16(%rax)
	movq	%rdx, 24(%rax)
	movq	%r8, 32(%rax)
	movq	%r8, 40(%rax)
	leaq	switch_begin(%rip), %rcx
	movq	%rcx, 48(%rax)
	movq	%r8, 56(%rax)
	movq	%r8, 64(%rax)
	ret
	.cfi_endproc
	.size	switch_prepare, . - switch_prepare

/* The bottom frame of every prepared stack; debuggers stop unwinding here. */
	.type	switch_begin, @function
	.p2align 4
switch_begin:
	.cfi_startproc
	.cfi_undefined rip
	movq	%r13, %rdi
	call	*%r12
	ud2
	.cfi_endproc
	.size	switch_begin, . - switch_begin

/* void switch_swap(void **save, void *load) */
	.globl	switch_swap
	.hidden	switch_swap
	.type	switch_swap, @function
	.p2align 4
switch_swap:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	/* Not ret: the return predictor still follows the stack that was left. */
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	jmpq	*%rcx
	.cfi_endproc
	.size	switch_swap, . - switch_swap

	.section .note.GNU-stack, "", @progbits
