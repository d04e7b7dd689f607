package servers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// labelSession marks our containers with the process that they belong to; `make clean` looks for it too.
const labelSession = "io.github.tashikame.session"

const watchdogEnv = "TASHIKAME_SERVERS_WATCHDOG"

// watchdogName is what the watchdog is listed as, so that who kills the tests by their name does not kill it too.
const watchdogName = "tashikame-watch"

// watchdog is a child process that holds the other end of a pipe. When this process ends, whatever way it ends, the
// pipe closes and the child removes what is left. It is this very program, started again with an environment
// variable, so that nothing has to be installed.
type watchdog struct {
	session string
	mu      sync.Mutex
	pipe    io.WriteCloser
	cmd     *exec.Cmd
}

// leftover is one line on the pipe: a thing that the watchdog must remove if we cannot. It travels in the pipe, not in
// arguments or the environment, because a DSN holds a password.
type leftover struct {
	DSN, Database string // a database on a server that is not ours
	RedisURL      string // dbs claimed on a Redis that is not ours
	Session       string // …by this session
	Done          bool   // it has been removed
}

func init() {
	if os.Getenv(watchdogEnv) != "" {
		watch(os.Getenv(watchdogEnv), os.Stdin)
		os.Exit(0)
	}
}

var (
	watchdogMu sync.Mutex
	running    *watchdog
)

// theWatchdog returns this process's watchdog, and starts it if it does not run.
func theWatchdog() (*watchdog, error) {
	watchdogMu.Lock()
	defer watchdogMu.Unlock()
	if running == nil {
		w, err := startWatchdog()
		if err != nil {
			return nil, fmt.Errorf("start the watchdog: %w", err)
		}
		running = w
	}
	return running, nil
}

// endWatchdog ends the watchdog, if it runs, and waits until it has removed what was left.
func endWatchdog() error {
	watchdogMu.Lock()
	defer watchdogMu.Unlock()
	if running == nil {
		return nil
	}
	w := running
	running = nil
	w.pipe.Close()
	return w.cmd.Wait()
}

func startWatchdog() (*watchdog, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &watchdog{session: rand.Text()}
	w.cmd = exec.Command(exe)
	w.cmd.Args[0] = watchdogName
	w.cmd.SysProcAttr = detached()
	w.cmd.Env = append(os.Environ(), watchdogEnv+"="+w.session)
	// `go test` waits until standard error is closed by all: so it ends only when everything has been removed.
	w.cmd.Stderr = os.Stderr
	if w.pipe, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *watchdog) remember(l leftover) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return json.NewEncoder(w.pipe).Encode(l)
}

// watch is the child: it reads what there is to remove until the pipe closes, and removes it.
func watch(session string, pipe io.Reader) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	_ = os.WriteFile("/proc/self/comm", []byte(watchdogName), 0) // Linux only
	go killOrphan()
	left := map[leftover]bool{}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		var l leftover
		if json.Unmarshal(lines.Bytes(), &l) == nil {
			done := l.Done
			l.Done = false
			if left[l] = true; done {
				delete(left, l)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	defer cancel()
	for l := range left {
		if err := l.remove(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "tashikame: could not clean up after the tests: %v\n", err)
		}
	}
	if err := removeContainers(ctx, session); err != nil {
		fmt.Fprintf(os.Stderr, "tashikame: containers may be left (docker ps -a --filter label=%s): %v\n", labelSession, err)
	}
}

func (l leftover) remove(ctx context.Context) error {
	if l.RedisURL != "" {
		return releaseRedis(ctx, l.RedisURL, l.Session)
	}
	db, err := sql.Open("mysql", l.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+l.Database)
	return err
}

// removeContainers removes the session's containers. A container whose creation was under way when we died may appear
// late, so it looks again until there was nothing twice.
func removeContainers(ctx context.Context, session string) error {
	quiet()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil // no Docker, no containers
	}
	defer docker.Close()
	for clean := 0; clean < 2; {
		list, err := docker.ContainerList(ctx, client.ContainerListOptions{
			All: true, Filters: client.Filters{}.Add("label", labelSession+"="+session),
		})
		if err != nil {
			return err
		}
		clean++
		for _, c := range list.Items {
			clean = 0
			if _, err = docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil && ctx.Err() != nil {
				return err
			}
		}
		if clean < 2 {
			time.Sleep(200 * time.Millisecond)
		}
	}
	return nil
}

// killOrphan ends a test binary whose `go test` was killed: nobody reads its result any more, but it would keep its
// servers until its last test. It needs /proc, so it works on Linux only.
func killOrphan() {
	test := os.Getppid()
	parent, ok := parentOf(test)
	if !ok || processName(parent) != "go" {
		return
	}
	for {
		time.Sleep(500 * time.Millisecond)
		now, ok := parentOf(test)
		if !ok {
			return
		}
		if now != parent {
			if p, err := os.FindProcess(test); err == nil {
				_ = p.Kill()
			}
			return
		}
	}
}

func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// pid (name) state ppid …; the name may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	return ppid, err == nil
}

func processName(pid int) string {
	name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return string(bytes.TrimSpace(name))
}
