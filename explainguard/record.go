package explainguard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// ReportDirEnv names the environment variable for the directory into which a test process writes every report of Assert
// and of captured tests, one file a process, to be merged and shown by `explainguard report`. Unset: nothing is written.
const ReportDirEnv = "EXPLAINGUARD_REPORTS"

// records is the file of this process.
var records struct {
	sync.Mutex
	file *os.File
	dir  string
}

// record appends a report to this process's file, if the environment asks for it. Each report is a document of its own,
// so that a test process that is killed leaves whole ones.
func record(r *Report) error {
	dir := os.Getenv(ReportDirEnv)
	if dir == "" || r == nil {
		return nil
	}
	text, err := json.Marshal(runDocument{runFormat, NewRun(r).Entries})
	if err != nil {
		return fmt.Errorf("explainguard: keep the report: %w", err)
	}
	records.Lock()
	defer records.Unlock()
	if records.file == nil || records.dir != dir {
		if err := openRecords(dir); err != nil {
			return fmt.Errorf("explainguard: keep the report: %w; %s must name a directory that can be written", err, ReportDirEnv)
		}
	}
	if _, err := records.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("explainguard: keep the report: %w", err)
	}
	return nil
}

func openRecords(dir string) error {
	if records.file != nil {
		_ = records.file.Close() // every write was checked
		records.file = nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
	file, err := os.CreateTemp(dir, program+"-"+strconv.Itoa(os.Getpid())+"-*.jsonl")
	if err != nil {
		return err
	}
	records.file, records.dir = file, dir
	return nil
}
