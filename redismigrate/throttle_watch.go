package redismigrate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// startThrottle watches the masters of a session until stop is called, which waits for its end. Workers call wait before each batch.
func startThrottle(ctx context.Context, t Throttle, s *session) (p *pacer, stop func()) {
	if t == (Throttle{}) {
		return nil, func() {}
	}
	p = newPacer(t.MaxRate)
	if t.MaxLatency <= 0 && t.MaxReplicaLag <= 0 {
		return p, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &strains{byNode: map[string]strain{}}
	var group sync.WaitGroup
	for _, n := range s.nodes {
		group.Go(func() { w.watch(ctx, t, n, p) })
	}
	return p, func() {
		cancel()
		group.Wait()
	}
}

// strains keeps the last strain of each node: the worst of them counts.
type strains struct {
	mu     sync.Mutex
	byNode map[string]strain
}

func (w *strains) set(addr string, s strain) strain {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byNode[addr] = s
	for _, o := range w.byNode {
		if o.load > s.load {
			s = o
		}
	}
	return s
}

// watch asks one node again and again. A question without an answer counts while it is open: a server that hangs tells nothing else.
func (w *strains) watch(ctx context.Context, t Throttle, n *node, p *pacer) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	answers := make(chan strain, 1)
	var asked time.Time // zero: no question is open
	last := strain{}
	for {
		if asked.IsZero() {
			asked = time.Now()
			go func() { answers <- t.ask(ctx, n) }()
		}
		select {
		case <-ctx.Done():
			if !asked.IsZero() {
				<-answers // ends with ctx
			}
			return
		case last = <-answers:
			asked = time.Time{}
			p.sample(w.set(n.addr, last), time.Now())
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		case <-tick.C:
			p.sample(w.set(n.addr, moreStrained(last, t.latency(n.addr, time.Since(asked)))), time.Now())
		}
	}
}

// ask measures one node. One that gives no answer is under the heaviest strain: what is not known is not taken for good.
func (t Throttle) ask(ctx context.Context, n *node) strain {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := n.db(n.dbs[0])
	start := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return strain{2, fmt.Sprintf("%s does not answer a PING: %v", n.addr, err)}
	}
	out := t.latency(n.addr, time.Since(start))
	if t.MaxReplicaLag <= 0 {
		return out
	}
	info, err := client.Info(ctx, "replication").Result()
	if err != nil {
		return strain{2, fmt.Sprintf("%s does not tell how its replicas do: %v", n.addr, err)}
	}
	return moreStrained(out, t.lag(n.addr, info))
}

func moreStrained(a, b strain) strain {
	if b.load > a.load {
		return b
	}
	return a
}

func (t Throttle) latency(addr string, took time.Duration) strain {
	if t.MaxLatency <= 0 {
		return strain{}
	}
	return strain{float64(took) / float64(t.MaxLatency), fmt.Sprintf("%s takes %s to answer a PING (limit %s)", addr, took.Round(time.Millisecond/10), t.MaxLatency)}
}

// lag reads INFO replication of a master.
func (t Throttle) lag(addr, info string) strain {
	field := parseInfo(info)
	written, told := field.number("master_repl_offset")
	if !told {
		return strain{2, fmt.Sprintf("%s does not tell its replication offset", addr)}
	}
	var out strain
	for _, replica := range field.replicas() {
		who := fmt.Sprintf("replica %s:%s of %s", replica["ip"], replica["port"], addr)
		if replica["state"] != "online" {
			out = moreStrained(out, strain{2, fmt.Sprintf("%s is being synchronised (%s)", who, replica["state"])})
			continue
		}
		offset, told := replica.number("offset")
		if !told {
			out = moreStrained(out, strain{2, who + " does not tell its offset"})
			continue
		}
		behind := max(0, written-offset)
		out = moreStrained(out, strain{float64(behind) / float64(t.MaxReplicaLag), fmt.Sprintf("%s is %d bytes behind (limit %d)", who, behind, t.MaxReplicaLag)})
	}
	return out
}
