/*
 * The built-in templates: those of a new Active Directory forest that enrollment by SCEP knows, of template.h.
 *
 * Names, versions, key usage, key purposes and validity are those that a Windows Server shows for its own; their OIDs
 * are made for each forest, so there are none here, and version 1 does not put one into certificates.  Three things
 * differ.  A CA there asks for names from its directory for Machine and User; here they come from the request.
 * Microsoft's renewal period of six weeks tells clients when to begin and refuses nobody, so renewal_days is 0.  And
 * the two with Certificate Request Agent are for administrators alone.
 */
#include "appliance/template.h"

#define AGENT_ONLY "permissions = ( { group = \"administrators\"; rights = \"full-control\"; } ); "

static const char *const builtin[] = {
	"template = { name = \"IPSECIntermediateOffline\"; display_name = \"IPSec (Offline request)\"; "
	"schema_version = 1; major_version = 7; minor_version = 1; validity_days = 730; "
	"key_usage = \"digitalSignature keyEncipherment\"; extended_key_usage = \"ipsecIKEIntermediate\"; };",

	"template = { name = \"CEPEncryption\"; display_name = \"CEP Encryption\"; "
	"schema_version = 1; major_version = 4; minor_version = 1; validity_days = 730; algorithms = \"rsa\"; "
	"key_usage = \"keyEncipherment\"; extended_key_usage = \"certificateRequestAgent\"; " AGENT_ONLY "};",

	"template = { name = \"EnrollmentAgentOffline\"; display_name = \"Exchange Enrollment Agent (Offline "
	"request)\"; "
	"schema_version = 1; major_version = 4; minor_version = 1; validity_days = 730; "
	"key_usage = \"digitalSignature\"; extended_key_usage = \"certificateRequestAgent\"; " AGENT_ONLY "};",

	"template = { name = \"Machine\"; display_name = \"Computer\"; "
	"schema_version = 1; major_version = 5; minor_version = 1; validity_days = 365; "
	"key_usage = \"digitalSignature keyEncipherment\"; extended_key_usage = \"clientAuth serverAuth\"; };",

	"template = { name = \"User\"; display_name = \"User\"; publish = true; "
	"schema_version = 1; major_version = 3; minor_version = 1; validity_days = 365; "
	"key_usage = \"digitalSignature keyEncipherment\"; "
	"extended_key_usage = \"encryptingFileSystem emailProtection clientAuth\"; };",

	"template = { name = \"WebServer\"; display_name = \"Web Server\"; "
	"schema_version = 1; major_version = 4; minor_version = 1; validity_days = 730; "
	"key_usage = \"digitalSignature keyEncipherment\"; extended_key_usage = \"serverAuth\"; };",
};

const char *
app_template_builtin(size_t n)
{
	return n < ARRAY_SIZE(builtin) ? builtin[n] : NULL;
}
