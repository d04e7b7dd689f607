package explainguard

// mayLag reports whether the program may go on before an EXPLAIN is there: after a read of which the shape has been judged already, until
// it sends something that may change what is read.
func (w *workload) mayLag(j *job, s *Statement) bool {
	return j.filled && !j.text.writes && !j.later && w.byStats == nil && !s.InTx && !w.inTx[s.Conn] && !j.entry.prompt
}

// catchUp waits until at most so many EXPLAINs lag behind.
func (w *workload) catchUp(most int) {
	for {
		w.mu.Lock()
		if len(w.behind) <= most {
			w.mu.Unlock()
			return
		}
		j := w.behind[0]
		w.behind = w.behind[1:]
		w.mu.Unlock()
		<-j.done
		w.mu.Lock()
		w.takeBehind(j)
		w.mu.Unlock()
	}
}

// takeBehind takes what came late. An error may be due to what happened meanwhile: the next call is explained again, while the program waits.
func (w *workload) takeBehind(j *job) {
	if j.err != nil && fromServer(j.err) {
		delete(j.entry.tuples, j.hash)
		j.entry.others += j.tuple.calls
		j.entry.prompt = true
		return
	}
	w.take(j)
}
