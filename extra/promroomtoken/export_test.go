package promroomtoken

// What tests feed with statistics of their own.
var (
	NewCollectorOf     = newCollector
	NewHTTPCollectorOf = newHTTPCollector
)
