package roomtoken

// timeFormat is how errors and events show a time.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// shorten cuts a room ID to a length fit for messages.
func shorten(roomID string) string {
	const most = 80
	if len(roomID) <= most {
		return roomID
	}
	return roomID[:most] + "..."
}
