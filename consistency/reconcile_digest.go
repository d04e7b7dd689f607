package consistency

import "context"

// mergeRange compares the rows with after < key ≤ upTo, the kinds being settled.
func (r Reconcile) mergeRange(ctx context.Context, p *pairing, after, upTo neutralKey, found *differences) error {
	return merge(ctx, [2]Source{r.Left, r.Right}, settled(p), after, upTo, found)
}
