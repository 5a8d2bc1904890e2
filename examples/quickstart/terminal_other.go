//go:build !(linux || darwin || freebsd || netbsd || dragonfly)

package main

import "os"

// terminalSize knows no terminals here: the program writes plain lines.
func terminalSize(*os.File) (columns, lines int, ok bool) { return 0, 0, false }
