//go:build linux || darwin || freebsd || netbsd || dragonfly

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// terminalSize returns the size of the terminal that f is; ok is false if it is
// none. A file's mode would not tell: /dev/null is a character device too.
func terminalSize(f *os.File) (columns, lines int, ok bool) {
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, 0, false
	}
	if size.columns == 0 || size.rows == 0 { // a terminal that does not know
		return 80, 24, true
	}
	return int(size.columns), int(size.rows), true
}
