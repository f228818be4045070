using System.Reflection;
using System.Xml.Linq;
using PublicDocumentation;

// Copies a documentation file, without the members that nobody outside of the assembly can see.
if (args is not [string assemblyPath, string documentationPath, string outputPath])
{
    Console.Error.WriteLine("usage: PublicDocumentation ASSEMBLY DOCUMENTATION OUTPUT");
    return 2;
}

HashSet<string> visible = [.. VisibleMembers.Of(Assembly.LoadFrom(assemblyPath)).Select(DocumentationId.Of)];

XDocument documentation = XDocument.Load(documentationPath, LoadOptions.PreserveWhitespace);
List<XElement> members = [.. documentation.Descendants("member")];
HashSet<string> documented = [.. members.Select(NameOf)];

// Every visible member has its documentation, or does not compile. One that is not found under its id, while something of its name
// is documented, has been given the wrong id here, and its documentation would be lost.
HashSet<string> documentedNames = [.. documented.Select(WithoutParameters)];
string[] lost = [.. visible.Where(id => !documented.Contains(id) && documentedNames.Contains(WithoutParameters(id)))];
if (lost.Length > 0)
{
    Console.Error.WriteLine($"{documentationPath}: error : no documentation under {string.Join(", ", lost)}");
    return 1;
}

foreach (XElement member in members.Where(member => !visible.Contains(NameOf(member))))
{
    // With the line break in front of it.
    if (member.PreviousNode is XText space && string.IsNullOrWhiteSpace(space.Value))
    {
        space.Remove();
    }

    member.Remove();
}

documentation.Save(outputPath);
return 0;

static string NameOf(XElement member) => member.Attribute("name")!.Value;

static string WithoutParameters(string id) => id.Split('(', 2)[0];
