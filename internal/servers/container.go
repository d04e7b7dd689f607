package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
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
	port    string   // inside the container, "3306"
	fixed   string   // the host port that stays over restarts; "" for a shared server
	nodes   []string // the ports of a cluster's nodes, inside and outside
	addr    string   // where it answered
	removed bool
}

// containerSpec says what to run.
type containerSpec struct {
	image      image
	port       string
	env        map[string]string
	entrypoint []string // instead of the image's
	args       []string
	files      map[string][]byte // by path in the container, readable by all
	own        bool              // for one test only: its address must survive a restart
	nodes      int               // instead of port: so many ports, free ones, the same inside and outside, added to args
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
	published := network.PortMap{}
	publish := func(inside, host string) {
		published[network.MustParsePort(inside+"/tcp")] = []network.PortBinding{{HostPort: host}}
	}
	if spec.own || spec.nodes > 0 { // Docker chooses another port at every start, unless it is told one
		ports, err := freePorts(max(1, spec.nodes))
		if err != nil {
			return nil, err
		}
		c.fixed = ports[0]
		if spec.nodes > 0 {
			c.port, c.nodes = ports[0], ports
			spec.args = slices.Concat(spec.args, ports)
		} else {
			publish(spec.port, c.fixed)
		}
		for _, port := range c.nodes {
			publish(port, port)
		}
	}
	exposed := []string{c.port + "/tcp"}
	for port := range published {
		exposed = append(exposed, port.String())
	}
	var files []testcontainers.ContainerFile
	for path, content := range spec.files {
		files = append(files, testcontainers.ContainerFile{Reader: bytes.NewReader(content), ContainerFilePath: path, FileMode: 0o644})
	}
	c.Container, err = testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image:        image,
			Env:          spec.env,
			Entrypoint:   spec.entrypoint,
			Cmd:          spec.args,
			Files:        files,
			ExposedPorts: exposed,
			Labels:       map[string]string{labelSession: session},
			HostConfigModifier: func(config *dockercontainer.HostConfig) {
				if len(published) > 0 {
					config.PortBindings = published
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
		return fmt.Errorf("Docker does not answer (%w); start Docker, or name servers in TASHIKAME_MYSQL_DSN, TASHIKAME_MARIADB_DSN and TASHIKAME_REDIS_URL", err) //nolint:staticcheck // Docker is a name
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

// freePorts asks the system for ports that nobody uses now.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end: so that each is another one
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
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
