using System.Globalization;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>
/// What our assembly refers to in Tmds.LibC, and what that is on an architecture. The package's assemblies are plain IL: this process reads
/// the one of the other architecture as well as its own.
/// </summary>
internal sealed class UsedTmdsLibC
{
    private const string Getter = "get_";

    private readonly Type _functions;
    private readonly Dictionary<string, Type> _types;

    private UsedTmdsLibC(Assembly assembly)
    {
        (HashSet<string> members, HashSet<string> types) = FindReferences();
        _functions = assembly.GetType("Tmds.Linux.LibC", throwOnError: true)!;
        Constants = [.. members.Where(name => name.StartsWith(Getter, StringComparison.Ordinal)).Select(name => name[Getter.Length..])];
        Functions = [.. members.Where(name => !name.StartsWith(Getter, StringComparison.Ordinal))];
        _types = types.ToDictionary(name => name, name => assembly.GetType($"Tmds.Linux.{name}", throwOnError: true)!);
    }

    internal IReadOnlyCollection<string> Constants { get; }

    internal IReadOnlyCollection<string> Functions { get; }

    /// <summary>A test that is built for one runtime has that one's assembly only.</summary>
    internal static UsedTmdsLibC? Find(Architecture architecture)
    {
        string runtime = $"linux-{architecture.ToString().ToLowerInvariant()}";
        string path = Path.Combine(AppContext.BaseDirectory, "runtimes", runtime, "lib", "netstandard2.0", "Tmds.LibC.dll");
        return File.Exists(path) ? new UsedTmdsLibC(new AssemblyLoadContext(runtime).LoadFromAssemblyPath(path))
            : architecture == RuntimeInformation.ProcessArchitecture ? new UsedTmdsLibC(Assembly.Load("Tmds.LibC"))
            : null;
    }

    /// <summary>C expression → the value that it has there.</summary>
    internal IEnumerable<(string Expression, long Value)> Declarations()
    {
        foreach (string constant in Constants)
        {
            yield return (constant, ToNumber(_functions.GetProperty(constant)!.GetValue(null)!));
        }

        foreach ((string name, Type type) in _types)
        {
            // Its typedefs are structs, too.
            string inC = name.EndsWith("_t", StringComparison.Ordinal) ? name : $"struct {name}";
            yield return ($"sizeof({inC})", SizeOf(type));
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public))
            {
                if (NameInC(field) is { } fieldInC)
                {
                    yield return ($"offsetof({inC}, {fieldInC})", Marshal.OffsetOf(type, field.Name));
                }
            }
        }
    }

    /// <summary>Functions after which errno cannot be asked for: what they answer would be taken for an older call's error.</summary>
    internal IEnumerable<string> FunctionsWithoutErrno() =>
        _functions.GetMethods(BindingFlags.Static | BindingFlags.Public)
            .Where(method => Functions.Contains(method.Name) && method.GetCustomAttribute<DllImportAttribute>() is not { SetLastError: true })
            .Select(method => method.ToString()!);

    internal static long SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    // A field, or a property with a field behind it. The other private ones are paddings, and the values of typedefs.
    private static string? NameInC(FieldInfo field) =>
        field.IsPublic ? field.Name
        : field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)]
        : null;

    private static long ToNumber(object value)
    {
        while (!value.GetType().IsPrimitive)
        {
            value = value.GetType().GetFields(BindingFlags.Instance | BindingFlags.NonPublic).Single().GetValue(value)!;
        }

        return Convert.ToInt64(value, CultureInfo.InvariantCulture);
    }

    private static (HashSet<string> Members, HashSet<string> Types) FindReferences()
    {
        using PEReader file = new(File.OpenRead(typeof(SystemCalls).Assembly.Location));
        MetadataReader reader = file.GetMetadataReader();
        HashSet<string> types = [.. reader.TypeReferences.Select(reader.GetTypeReference).Where(IsTheirs).Select(type => reader.GetString(type.Name))];
        types.Remove("LibC");
        HashSet<string> members =
        [
            .. reader.MemberReferences.Select(reader.GetMemberReference)
                .Where(member => member.Parent.Kind == HandleKind.TypeReference)
                .Where(member => reader.GetTypeReference((TypeReferenceHandle)member.Parent) is var type
                    && IsTheirs(type) && reader.GetString(type.Name) == "LibC")
                .Select(member => reader.GetString(member.Name)),
        ];
        return (members, types);

        bool IsTheirs(TypeReference type) => reader.GetString(type.Namespace) == "Tmds.Linux";
    }
}
