/*
 * switch_aarch64.S: the context switch on 64-bit ARM (AAPCS64).
 *
 * A call preserves x19-x28, the frame pointer x29, the stack pointer and the low
 * halves of v8-v15; x30 is where it returns to. These are what a switch keeps.
 *
 * A suspended stack, from low to high (160 bytes):
 *
 *	context -> x19 ... x28 x29 x30  d8 ... d15
 *
 * On a prepared stack x30 is switch_begin, x19 the entry function and x20 its
 * argument.
 */
	.text

/* void *switch_prepare(void *stack_low, size_t bytes, void (*entry)(void *), void *arg) */
	.globl	switch_prepare
	.hidden	switch_prepare
	.type	switch_prepare, %function
	.p2align 4
switch_prepare:
	.cfi_startproc
	add	x0, x0, x1
	and	x0, x0, #-16
	sub	x0, x0, #160
	stp	x2, x3, [x0, #0]
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	adr	x4, switch_begin
	stp	xzr, x4, [x0, #80]
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	ret
	.cfi_endproc
	.size	switch_prepare, . - switch_prepare

/* The bottom frame of every prepared stack; debuggers stop unwinding here. */
	.type	switch_begin, %function
	.p2align 4
switch_begin:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, x20
	blr	x19
	brk	#0
	.cfi_endproc
	.size	switch_begin, . - switch_begin

/* void switch_swap(void **save, void *load) */
	.globl	switch_swap
	.hidden	switch_swap
	.type	switch_swap, %function
	.p2align 4
switch_swap:
	.cfi_startproc
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x2, sp
	str	x2, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_adjust_cfa_offset -160
	ret
	.cfi_endproc
	.size	switch_swap, . - switch_swap

	.section .note.GNU-stack, "", %progbits
