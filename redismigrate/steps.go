package redismigrate

import "fmt"

// Window says when a step is taken.
type Window string

// The parts of the day.
const (
	Before Window = "before the window" // nothing that anybody uses is touched
	Inside Window = "inside the window" // the writers of the selected keys are stopped
	After  Window = "after the window"
)

// Step is one thing to do, in order.
type Step struct {
	Name   string `json:"name"`
	Window Window `json:"window"`
	// What to do, in a sentence or two; with the package's call where it has one.
	What string `json:"what"`
	// Back says how to undo everything up to and including this step.
	Back string `json:"back"`
}

// Names of the steps that Rehearse measures too.
const (
	stepRestore = "restore the snapshot"
	stepFilter  = "filter the snapshot"
	stepPlan    = "plan the prune"
	stepPrune   = "prune"
	stepCopy    = "copy"
	stepVerify  = "verify"
)

const (
	backNothing = "nothing to undo: nothing was changed"
	backDrop    = "start the writers again on the old store, which is unchanged, and empty the new one"
	backSwitch  = "point the application at the old store again; what it wrote to the new one since is on the new one only"
)

// stepsOf lists what to do for a strategy, with as little as possible inside the window.
func stepsOf(o Option, in *planInput) []Step {
	from, to := in.source.Addr, in.target.Addr
	selected := fmt.Sprintf("%s keys", countRange(in.selected.Keys))
	steps := []Step{
		{"rehearse", Before, "run this plan on stand-ins of the same kind and size with Rehearse, and attach its report to the change request", backNothing},
		{"give rights", Before, fmt.Sprintf("create the new application's user on %s with the rules of ACLRules, and check them with CheckACL", to), "delete the user again"},
		{"look again", Before, "Inspect both stores and Compare them with the cards of this plan: stop when anything differs", backNothing},
		{"stop the writers", Inside, fmt.Sprintf("stop whatever writes the selected keys on %s", from), "start the writers again"},
	}
	verify := Step{stepVerify, Inside, fmt.Sprintf("Verify that %s holds exactly the selected keys (%s), with their values and expiries", to, selected), backDrop}
	prune := []Step{
		{stepPlan, Inside, fmt.Sprintf("PlanPrune on %s: it must count about %s to keep and %s to delete", to, selected, countRange(o.Deleted.Keys)), backDrop},
		{stepPrune, Inside, "Apply the plan with its confirmation, typed by a person", backDrop},
	}
	switch o.Strategy {
	case LiveSplit:
		return append(steps[:3], liveSteps(from, to, selected)...)
	case PruneAfterRestore:
		steps = append(steps,
			Step{"take the snapshot", Inside, fmt.Sprintf("take a snapshot of %s (%s, %s keys)", from, byteRange(o.Moved.Bytes), countRange(o.Moved.Keys)), "start the writers again"},
			Step{stepRestore, Inside, fmt.Sprintf("restore it into %s, which must have room for all of it", to), backDrop})
		steps = append(steps, prune...)
	case FilteredSnapshot:
		steps = append(steps,
			Step{"take the snapshot", Inside, fmt.Sprintf("take a snapshot of %s", from), "start the writers again"},
			Step{stepFilter, Inside, fmt.Sprintf("Filter it to the selected keys (%s, %s)", selected, byteRange(o.Moved.Bytes)), "start the writers again"},
			Step{stepRestore, Inside, fmt.Sprintf("restore the filtered snapshot into %s", to), backDrop})
	case MigrateKeys:
		steps = append(steps, Step{stepCopy, Inside, fmt.Sprintf("Copy %s (%s) from %s to %s with CopyOptions.Strategy MigrateKeys", selected, byteRange(o.Moved.Bytes), from, to), backDrop})
	default:
		steps = append(steps, Step{stepCopy, Inside, fmt.Sprintf("Copy %s (%s) from %s to %s, with a checkpoint", selected, byteRange(o.Moved.Bytes), from, to), backDrop})
	}
	return append(steps, verify,
		Step{"switch", Inside, fmt.Sprintf("point the application at %s and start it", to), backSwitch},
		Step{"clean up", After, fmt.Sprintf("when the new store has proved itself, delete the selected keys from %s, and nothing before", from), "none: keep a snapshot of the old store before this step"},
	)
}

// liveSteps are those of a live split, which has no window: nobody stops writing.
func liveSteps(from, to, selected string) []Step {
	back := func(states string) string { return "go back state by state (" + states + "), with a Sweep in home" }
	return []Step{
		{"deploy", Before, "deploy the application with the client of NewSplit in every process, and Begin: in state old it works as before", "deploy it with its own client again"},
		{"home", Before, "Step to home: every process looks at records; nothing is moved", "Step to old"},
		{"away", Before, fmt.Sprintf("Step to away: a key goes to %s when it is used", to), back("home, old")},
		{"sweep", Before, fmt.Sprintf("Sweep the rest of %s, with a MaxRate that the stores bear", selected), back("home, old")},
		{"new", Before, fmt.Sprintf("Step to new: it is refused while a key is left on %s", from), back("away, home, old")},
		{"seal", After, "when the new store has proved itself, Step to sealed and Forget the records", "none: keep a snapshot of the old store before this step"},
		{"clean up", After, "deploy the application with a plain client of the new store", "deploy it with the split's client again"},
	}
}
