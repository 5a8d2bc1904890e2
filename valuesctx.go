package roomtoken

import "context"

// valuesCtx ends when its Context does, and has the values of another ctx that never
// ends.
type valuesCtx struct {
	context.Context
	values context.Context //nolint:containedctx // it is one
}

func (c valuesCtx) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}
