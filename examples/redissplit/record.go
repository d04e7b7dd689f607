package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// value is what a session is: the number of its log-in, and how often it was touched since. The zero value is a session that is logged out.
type value struct{ login, hits int64 }

var loggedOut value

// session is a session that one process writes, with what that process knows of it.
type session struct {
	slot   string    // session:a:17
	key    string    // the same, or with the number of its log-in behind it
	shared bool      // the other process touches it too, in a field of its own; nobody logs it out
	last   int64     // the number of its last log-in
	may    []value   // what it may be now: one value, or two after a command whose answer did not come
	rests  time.Time // until then that command may still be carried out
}

// finding is what is wrong with a session that was read.
type finding int

const (
	right       finding = iota
	lost                // it was logged in, and is not there
	stale               // it is as it was before a write that was acknowledged
	resurrected         // it was logged out, and is there again
	repeated            // a write was carried out more than once
)

// judge compares what was read with what it may be.
func judge(may []value, got value) finding {
	before, in := true, false
	for _, v := range may {
		if v == loggedOut {
			continue
		}
		in = true
		before = before && (got.login < v.login || got.login == v.login && got.hits < v.hits)
	}
	switch {
	case slices.Contains(may, got):
		return right
	case !in:
		return resurrected
	case got == loggedOut:
		return lost
	case before:
		return stale
	}
	return repeated
}

// journal keeps what a process knows of its sessions in a file, so that the next one, after a restart or a SIGKILL, holds the stores to it. Each line is a session: its slot, its key,
// the number of its last log-in, and what it may be. The last line of a session counts.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &journal{file: file}, err
}

// note writes a session down.
func (j *journal) note(s *session) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %d", s.slot, s.key, s.last)
	for _, v := range s.may {
		fmt.Fprintf(&line, " %d:%d", v.login, v.hits)
	}
	line.WriteByte('\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := j.file.WriteString(line.String())
	return err
}

func (j *journal) close() error { return j.file.Close() }

// readJournal fills in what a journal says of sessions.
func readJournal(path string, sessions []*session) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	bySlot := map[string]*session{}
	for _, s := range sessions {
		bySlot[s.slot] = s
	}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 {
			return fmt.Errorf("journal: line %q has too few words", lines.Text())
		}
		s := bySlot[words[0]]
		if s == nil {
			return fmt.Errorf("journal: session %q is not this process's", words[0])
		}
		if _, err := fmt.Sscan(words[2], &s.last); err != nil {
			return fmt.Errorf("journal: line %q: %w", lines.Text(), err)
		}
		s.key, s.may = words[1], nil
		for _, word := range words[3:] {
			var v value
			if _, err := fmt.Sscanf(word, "%d:%d", &v.login, &v.hits); err != nil {
				return fmt.Errorf("journal: line %q: %w", lines.Text(), err)
			}
			s.may = append(s.may, v)
		}
	}
	return lines.Err()
}
