//go:build !linux

package redismigrate

import (
	"crypto/tls"
	"net"
	"time"
)

// cutOff has the kernel throw away what was written when the connection is closed: a command that its sender has given up on must not reach the server minutes later.
func cutOff(conn net.Conn, _ time.Duration) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // as far as it goes
	}
}
