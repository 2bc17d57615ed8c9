# overwinter.py as bytes of the program (python_module.h).
    .section .rodata
    .global overwinter_python_begin
    .global overwinter_python_end
overwinter_python_begin:
    .incbin "worker/exec/overwinter.py"
overwinter_python_end:
    .section .note.GNU-stack, "", @progbits
