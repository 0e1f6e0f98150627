# Turns the NDES lines of board/base/ndes.def and then the EVENT lines of board/base/log.def, sorted by name, into a section
# of chanceryd(8).
function roff(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	return text
}

BEGIN {
	FS = "\""
	print ".SH EVENTS"
	print "What an event's line says beside time, role and level, and what it means for the operator. Events that NDES has too"
	print "say the number that they have there in"
	print ".IR ndes ;"
	print "ndes=\\- is none."
}

/^NDES(_FIELD)?\(/ {
	split($1, head, /[(, ]+/)
	ndes[head[2]] = ndes[head[2]] " NDES event " head[3] ": " $2
}

/^EVENT\(/ {
	split($1, head, /[(, ]+/)
	fields = $2
	gsub(/=[^ ]*/, "", fields)
	gsub(/ /, ", ", fields)
	printf ".TP\n.BR %s \" (%s)\" %s\n", roff(head[2]), tolower(head[3]), fields == "" ? "" : "\" " roff(fields) "\""
	print roff($4 ndes[head[2]])
}
