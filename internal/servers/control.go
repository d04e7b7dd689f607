package servers

import (
	"context"
	"fmt"
	"net"
	"time"
)

// control is what a server of a test's own can be put through. On a shared server every method is an error.
type control struct {
	container *container
	ping      func(ctx context.Context, addr string) error
}

func (c control) do(what string, f func(ctx context.Context) error) error {
	if c.container == nil || c.container.fixed == "" {
		return fmt.Errorf("servers: %s a server that other tests use: take one of your own (OwnMySQL, OwnMariaDB, OwnRedis)", what)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout+controlTimeout)
	defer cancel()
	if err := f(ctx); err != nil {
		return fmt.Errorf("servers: %s: %w", what, err)
	}
	return nil
}

// Kill ends the server as a power cut would (SIGKILL). Start brings it back with the data that had reached the disk.
func (c control) Kill() error { return c.do("kill", c.container.kill) }

// Stop ends the server in good order.
func (c control) Stop() error {
	return c.do("stop", func(ctx context.Context) error {
		timeout := controlTimeout
		return c.container.Stop(ctx, &timeout)
	})
}

// Start starts a killed or stopped server, at the same address, and waits until it answers.
func (c control) Start() error {
	return c.do("start", func(ctx context.Context) error {
		if err := c.container.Start(ctx); err != nil {
			return err
		}
		_, err := c.container.waitFor(ctx, c.ping)
		return err
	})
}

// Exec runs a command inside the server's container and returns what it printed.
func (c control) Exec(cmd ...string) (out string, err error) {
	err = c.do("run a command in", func(ctx context.Context) error {
		out, err = c.container.exec(ctx, cmd)
		return err
	})
	return out, err
}

// direct returns the server's address on the container network, without Docker's port proxy, where that network can be
// reached from here, and else its ordinary address.
func (c control) direct(ordinary string) string {
	if c.container == nil {
		return ordinary
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ip, err := c.container.ContainerIP(ctx)
	if err != nil || ip == "" {
		return ordinary
	}
	addr := net.JoinHostPort(ip, c.container.port)
	if answersAt(ctx, addr, c.ping) != nil {
		return ordinary
	}
	return addr
}
