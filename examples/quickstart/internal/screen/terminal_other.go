//go:build !(linux || darwin || freebsd || netbsd || dragonfly)

package screen

import "os"

// terminalSize does not support this system: the program writes plain lines.
func terminalSize(*os.File) (columns, lines int, ok bool) { return 0, 0, false }
