//go:build linux || darwin || freebsd || netbsd || dragonfly

package screen

import (
	"os"
	"syscall"
	"unsafe"
)

// terminalSize returns the size of the terminal f; ok is false if f is not a
// terminal. The file mode is no help: /dev/null is a character device, too.
func terminalSize(f *os.File) (columns, lines int, ok bool) {
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, 0, false
	}
	if size.columns == 0 || size.rows == 0 { // the terminal does not know its size
		return 80, 24, true
	}
	return int(size.columns), int(size.rows), true
}
