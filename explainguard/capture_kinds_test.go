package explainguard_test

import "database/sql/driver"

// connKinds are drivers' connections with all the combinations of optional methods whose presence database/sql notices, then with each of the
// others.
var connKinds = map[string]func(*fakeConn) driver.Conn{
	"nothing": func(c *fakeConn) driver.Conn { return c },
	"V": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeValid
		}{c, (*fakeValid)(c)}
	},
	"R": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeReset
		}{c, (*fakeReset)(c)}
	},
	"RV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeReset
			*fakeValid
		}{c, (*fakeReset)(c), (*fakeValid)(c)}
	},
	"E": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeExec
		}{c, (*fakeExec)(c)}
	},
	"EV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeExec
			*fakeValid
		}{c, (*fakeExec)(c), (*fakeValid)(c)}
	},
	"ER": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeExec
			*fakeReset
		}{c, (*fakeExec)(c), (*fakeReset)(c)}
	},
	"ERV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeExec
			*fakeReset
			*fakeValid
		}{c, (*fakeExec)(c), (*fakeReset)(c), (*fakeValid)(c)}
	},
	"Q": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
		}{c, (*fakeQuery)(c)}
	},
	"QV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeValid
		}{c, (*fakeQuery)(c), (*fakeValid)(c)}
	},
	"QR": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeReset
		}{c, (*fakeQuery)(c), (*fakeReset)(c)}
	},
	"QRV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeReset
			*fakeValid
		}{c, (*fakeQuery)(c), (*fakeReset)(c), (*fakeValid)(c)}
	},
	"QE": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeExec
		}{c, (*fakeQuery)(c), (*fakeExec)(c)}
	},
	"QEV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeExec
			*fakeValid
		}{c, (*fakeQuery)(c), (*fakeExec)(c), (*fakeValid)(c)}
	},
	"QER": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeExec
			*fakeReset
		}{c, (*fakeQuery)(c), (*fakeExec)(c), (*fakeReset)(c)}
	},
	"QERV": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeExec
			*fakeReset
			*fakeValid
		}{c, (*fakeQuery)(c), (*fakeExec)(c), (*fakeReset)(c), (*fakeValid)(c)}
	},
	"old Q and E": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeOldQuery
			*fakeOldExec
		}{c, (*fakeOldQuery)(c), (*fakeOldExec)(c)}
	},
	"prepare": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakePrepare
		}{c, (*fakePrepare)(c)}
	},
	"begin": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeBegin
		}{c, (*fakeBegin)(c)}
	},
	"ping": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakePing
		}{c, (*fakePing)(c)}
	},
	"check": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeCheck
		}{c, (*fakeCheck)(c)}
	},
	"all": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			*fakeQuery
			*fakeExec
			*fakeReset
			*fakeValid
			*fakePrepare
			*fakeBegin
			*fakePing
			*fakeCheck
		}{
			c, (*fakeQuery)(c), (*fakeExec)(c), (*fakeReset)(c), (*fakeValid)(c), (*fakePrepare)(c), (*fakeBegin)(c),
			(*fakePing)(c), (*fakeCheck)(c),
		}
	},
}

var stmtKinds = map[string]func(*fakeStmt) driver.Stmt{
	"nothing": func(s *fakeStmt) driver.Stmt { return s },
	"exec": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			*fakeStmtExec
		}{s, (*fakeStmtExec)(s)}
	},
	"query": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			*fakeStmtQuery
		}{s, (*fakeStmtQuery)(s)}
	},
	"check": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			*fakeStmtCheck
		}{s, (*fakeStmtCheck)(s)}
	},
	"convert": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			*fakeStmtConverter
		}{s, (*fakeStmtConverter)(s)}
	},
	"all": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			*fakeStmtExec
			*fakeStmtQuery
			*fakeStmtCheck
			*fakeStmtConverter
		}{s, (*fakeStmtExec)(s), (*fakeStmtQuery)(s), (*fakeStmtCheck)(s), (*fakeStmtConverter)(s)}
	},
}
