# Source of `PROBE` in accel.rs: `as --64 probe.s -o probe.o && objcopy -O binary -j .text probe.o probe.bin`.
# It lies at 0xff000, in the last 4 KiB of the firmware image.
# Enters long mode with paging, works on memory for a moment, and leaves through the debug-exit port.
.code16
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    cld
    movw $0x1000, %di
    movw $0x1800, %cx
    rep stosw
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x0083, 0x3000
    lgdtl %cs:gdtr - start
    movl $0x20, %eax
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmpl $8, $(0xff000 + long - start)
.code64
long:
    movl $0x8000, %esp
    movl $0x100000, %ecx
    movl $0x10000, %edi
    xorl %eax, %eax
1:  addl %ecx, %eax
    movl %eax, (%rdi)
    pushfq
    popfq
    decl %ecx
    jnz 1b
    xorl %eax, %eax
    cpuid
    movw $0xf4, %dx
    movb $0x10, %al
    outb %al, %dx
2:  hlt
    jmp 2b
.balign 8
gdt: .quad 0, 0x00209a0000000000
gdtr: .word 15
    .long 0xff000 + gdt - start
