package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

const (
	startTimeout   = 90 * time.Second // from a created container to the first answer
	controlTimeout = 60 * time.Second // for stopping, killing, removing
)

// container is one server in Docker.
type container struct {
	testcontainers.Container
	port    string // inside the container, "3306"
	fixed   string // the host port that stays over restarts; "" for a shared server
	addr    string // where it answered
	removed bool
}

// containerSpec says what to run.
type containerSpec struct {
	image image
	port  string
	env   map[string]string
	args  []string
	own   bool // for one test only: its address must survive a restart
}

// run starts a container and waits until ping accepts one of its addresses, which it returns.
func run(ctx context.Context, spec containerSpec, ping func(ctx context.Context, addr string) error) (*container, string, error) {
	if err := dockerAnswers(ctx); err != nil {
		return nil, "", err
	}
	name, err := spec.image.ensure(ctx)
	if err != nil {
		return nil, "", err
	}
	dog, err := theWatchdog()
	if err != nil {
		return nil, "", err
	}
	c, err := create(ctx, name, dog.session, spec)
	for range 3 {
		// Between our choice of a port and Docker's use of it somebody else may have taken it.
		if err == nil || !strings.Contains(err.Error(), "already allocated") && !strings.Contains(err.Error(), "already in use") {
			break
		}
		c, err = create(ctx, name, dog.session, spec)
	}
	if err != nil {
		return nil, "", fmt.Errorf("start a container of %s: %w", name, err)
	}
	addr, err := c.waitFor(ctx, ping)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s: %w", name, err), c.remove(ctx))
	}
	return c, addr, nil
}

// create creates and starts a container.
func create(ctx context.Context, image, session string, spec containerSpec) (_ *container, err error) {
	c := &container{port: spec.port}
	if spec.own {
		if c.fixed, err = freePort(); err != nil {
			return nil, err
		}
	}
	c.Container, err = testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image:        image,
			Env:          spec.env,
			Cmd:          spec.args,
			ExposedPorts: []string{spec.port + "/tcp"},
			Labels:       map[string]string{labelSession: session},
			HostConfigModifier: func(config *dockercontainer.HostConfig) {
				if c.fixed != "" { // Docker chooses another port at every start, unless it is told one
					config.PortBindings = network.PortMap{
						network.MustParsePort(spec.port + "/tcp"): {{HostPort: c.fixed}},
					}
				}
			},
		},
		Started: true,
		Logger:  tclog.NewNoopLogger(),
	})
	if err != nil && c.Container != nil {
		err = errors.Join(err, c.remove(ctx))
	}
	return c, err
}

// quiet sets testcontainers up, before its first use and once: servers may be started side by side. The watchdog does the work of
// its reaper, whose image needs a registry.
var quiet = sync.OnceFunc(func() {
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	tclog.SetDefault(tclog.NewNoopLogger())
})

// dockerAnswers reports in plain words what to do when there is no Docker.
func dockerAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	quiet()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err == nil {
		defer docker.Close()
		_, err = docker.Ping(ctx, client.PingOptions{})
	}
	if err != nil {
		return fmt.Errorf("Docker does not answer (%w); start Docker, or name servers in TASHIKAME_MYSQL_DSN and TASHIKAME_REDIS_URL", err) //nolint:staticcheck // Docker is a name
	}
	return nil
}

// waitFor tries the server's possible addresses in turn until one answers. It takes the address on the container
// network first: that way goes round Docker's port proxy, which costs a core under load.
func (c *container) waitFor(ctx context.Context, ping func(ctx context.Context, addr string) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	for {
		addrs, err := c.addresses(ctx)
		if err != nil {
			last = err
		}
		for _, addr := range addrs {
			err := answersAt(ctx, addr, ping)
			if err == nil {
				c.addr = addr
				return addr, nil
			}
			last = err
		}
		state, err := c.State(ctx)
		if err == nil && !state.Running {
			return "", fmt.Errorf("the server ended with exit code %d; its last words:\n%s", state.ExitCode, c.lastWords(ctx))
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the server did not answer within %v (%w); its last words:\n%s", startTimeout, last, c.lastWords(context.WithoutCancel(ctx)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// answersAt pings one address. It connects first by itself: not every address can be reached from everywhere, and a client
// library would report that at length.
func answersAt(ctx context.Context, addr string, ping func(ctx context.Context, addr string) error) error {
	dialer := net.Dialer{Timeout: 500 * time.Millisecond}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return ping(ctx, addr)
}

func (c *container) addresses(ctx context.Context) ([]string, error) {
	var addrs []string
	add := func(host, port string) { addrs = append(addrs, net.JoinHostPort(host, port)) }
	if c.addr != "" { // a restart
		return []string{c.addr}, nil
	}
	host, err := c.Host(ctx)
	if err != nil {
		return nil, err
	}
	if c.fixed != "" {
		// Docker on this machine, seen from inside a container, is reported as the gateway: try both.
		add("127.0.0.1", c.fixed)
		add(host, c.fixed)
		return addrs, nil
	}
	if ip, err := c.ContainerIP(ctx); err == nil && ip != "" {
		add(ip, c.port)
	}
	mapped, err := c.MappedPort(ctx, c.port+"/tcp")
	if err != nil {
		return addrs, err
	}
	add(host, mapped.Port())
	add("127.0.0.1", mapped.Port())
	return addrs, nil
}

func (c *container) lastWords(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	logs, err := c.Logs(ctx)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	defer logs.Close()
	text, _ := io.ReadAll(io.LimitReader(logs, 1<<20))
	return tail(string(text), 15)
}

// freePort asks the system for a port that nobody uses now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func (c *container) kill(ctx context.Context) error {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	if _, err := docker.ContainerKill(ctx, c.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		return err
	}
	for {
		state, err := c.State(ctx)
		if err != nil || !state.Running {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *container) exec(ctx context.Context, cmd []string) (string, error) {
	code, out, err := c.Exec(ctx, cmd, tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(out)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: exit code %d: %s", strings.Join(cmd, " "), code, tail(string(text), 5))
	}
	return string(text), err
}

func (c *container) remove(ctx context.Context) error {
	if c == nil || c.removed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), controlTimeout)
	defer cancel()
	err := c.Terminate(ctx, testcontainers.StopTimeout(0)) // its volumes too
	c.removed = err == nil
	return err
}

// control is what a server of a test's own can be put through. On a shared server every method is an error.
type control struct {
	container *container
	ping      func(ctx context.Context, addr string) error
}

func (c control) do(what string, f func(ctx context.Context) error) error {
	if c.container == nil || c.container.fixed == "" {
		return fmt.Errorf("servers: %s a server that other tests use: take one of your own (OwnMySQL, OwnRedis)", what)
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
