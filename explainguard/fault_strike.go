package explainguard

import (
	"context"
)

// before lets faults strike before the statement is sent; if one fails it, the statement ends here. s may be nil.
func (s *Statement) before(c *conn) error {
	if s == nil {
		return nil
	}
	if err := s.strikeAt(BeforeSending, c); err != nil {
		return s.end(err, false)
	}
	return nil
}

// strikeAt lets the faults of this moment strike, until one fails the statement.
func (s *Statement) strikeAt(when When, c *conn) error {
	for _, f := range s.faults {
		if f.When == when {
			if err := f.strike(s, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// inRows returns the faults that will strike in the rows.
func (s *Statement) inRows() []*armedFault {
	var in []*armedFault
	for _, f := range s.faults {
		if f.When == InRows {
			in = append(in, f)
		}
	}
	return in
}

// strikes runs the begin, commit or rollback of a transaction with the faults that chose it. instead, if not nil, is run when a fault comes before do.
func (c *conn) strikes(ctx context.Context, op Target, do func() error, instead func() error) error {
	pool, own := c.recordings(ctx)
	if len(pool.faults) == 0 && len(own.faults) == 0 {
		return do()
	}
	s := &Statement{Query: op.String(), Exec: true, InTx: op != OnBegin, Conn: c.id, ctx: ctx}
	for _, r := range []*recording{pool, own} {
		for _, f := range r.faults {
			if f.On == op && f.count() {
				s.faults = append(s.faults, f)
			}
		}
	}
	if err := s.strikeAt(BeforeSending, c); err != nil {
		if instead != nil && !c.lost {
			_ = instead() // the program is told of the fault
		}
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return s.strikeAt(AfterExecution, c)
}
