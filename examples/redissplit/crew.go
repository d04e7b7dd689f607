package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

var names = []string{"a", "b"}

// patience is how long a process may take to start, and to end.
const patience = time.Minute

// crew are the processes of the service.
type crew struct {
	oldURL, newURL string
	dir            string // of their journals

	mu   sync.Mutex
	runs map[string]*process
	past tally // of those that have ended
}

// process is one of them.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer     // it ends when this is closed, by whatever
	ready chan struct{} // it serves
	ended chan struct{}
	err   error // why it has ended, after that

	mu     sync.Mutex
	latest tally // as it has reported
}

// loggedIn is how many sessions are logged in when all processes have ended, as they have written down.
func (c *crew) loggedIn() (n int64, err error) {
	for _, name := range names {
		sessions := sessionsOf(name)
		if err := readJournal(c.journal(name), sessions); err != nil {
			return 0, err
		}
		for _, s := range sessions {
			if len(s.may) > 1 {
				return 0, fmt.Errorf("nobody has found out what became of %s", s.key)
			}
			if s.may[0] != loggedOut && (!s.shared || name == names[0]) {
				n++
			}
		}
	}
	return n, nil
}

func (c *crew) journal(name string) string { return filepath.Join(c.dir, name) }

// start starts a process, and waits until it serves.
func (c *crew) start(ctx context.Context, name string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	p := &process{name: name, cmd: exec.Command(exe), ready: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), nameEnv+"="+name, oldEnv+"="+c.oldURL, newEnv+"="+c.newURL, journalEnv+"="+c.journal(name))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go p.follow(out)
	c.mu.Lock()
	c.runs[name] = p
	c.mu.Unlock()
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("process %s ended before it served: %w", name, errors.Join(p.err, errEarly))
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("process %s does not serve after %s", name, patience)
	}
}

var errEarly = errors.New("nobody had told it to end")

// follow reads what a process reports until it ends.
func (p *process) follow(out io.Reader) {
	defer close(p.ended)
	var bad error
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		var t tally
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			bad = fmt.Errorf("process %s printed %q: %w", p.name, lines.Text(), err)
			continue
		}
		p.mu.Lock()
		p.latest = t
		p.mu.Unlock()
		if first {
			close(p.ready)
		}
	}
	p.err = errors.Join(bad, p.cmd.Wait())
}

// stop ends a process in good order: it answers what it has begun, and reads all of its sessions once more.
func (c *crew) stop(name string) error {
	p := c.take(name)
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) { // Ctrl-C ends it, too
		return fmt.Errorf("end process %s: %w", name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("process %s does not end after %s", name, patience), p.kill())
	}
	c.add(p)
	if p.err != nil {
		return fmt.Errorf("process %s: %w", name, p.err)
	}
	return nil
}

// kill ends a process as a lack of memory would. Of its counters the last tenth of a second is lost.
func (c *crew) kill(name string) error {
	p := c.take(name)
	err := p.kill()
	c.add(p)
	return err
}

func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

func (c *crew) take(name string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.runs[name]
	delete(c.runs, name)
	return p
}

func (c *crew) add(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = c.past.plus(p.latest)
}

// startAll starts all processes.
func (c *crew) startAll(ctx context.Context) error {
	var all []func(context.Context) error
	for _, name := range names {
		all = append(all, func(ctx context.Context) error { return c.start(ctx, name) })
	}
	return together(ctx, all...)
}

// restart restarts a process, as a deployment does.
func (c *crew) restart(name string) func(context.Context) error {
	return func(ctx context.Context) error { return errors.Join(c.stop(name), c.start(ctx, name)) }
}

// stopAll stops all processes that run.
func (c *crew) stopAll() (err error) {
	for _, name := range names {
		err = errors.Join(err, c.stop(name))
	}
	return err
}

// total is what all processes have done. It is an error if one has ended by itself.
func (c *crew) total() (tally, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.past
	for _, p := range c.runs {
		select {
		case <-p.ended:
			return sum, fmt.Errorf("process %s: %w", p.name, errors.Join(p.err, errEarly))
		default:
		}
		p.mu.Lock()
		sum = sum.plus(p.latest)
		p.mu.Unlock()
	}
	return sum, nil
}
