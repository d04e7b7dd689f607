//go:build unix

package servers

import "syscall"

// detached gives the watchdog a session of its own: a signal to our process group (^C, a runner's time-out) does not reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
