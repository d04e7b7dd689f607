//go:build !unix

package servers

import "syscall"

// detached is of no use here: the watchdog then lives and dies with our process group.
func detached() *syscall.SysProcAttr { return nil }
