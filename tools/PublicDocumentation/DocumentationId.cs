using System.Globalization;
using System.Reflection;

namespace PublicDocumentation;

/// <summary>The name under which the compiler puts a member into a documentation file.</summary>
internal static class DocumentationId
{
    public static string Of(MemberInfo member) => member switch
    {
        Type type => "T:" + NameOf(type),
        FieldInfo => "F:" + Qualified(member),
        EventInfo => "E:" + Qualified(member),
        PropertyInfo property => "P:" + Qualified(member) + Parameters(property.GetIndexParameters()),
        MethodInfo method => "M:" + Qualified(member) + Arity(method) + Parameters(method.GetParameters()) + Conversion(method),
        MethodBase method => "M:" + Qualified(member) + Parameters(method.GetParameters()),
        _ => throw new ArgumentException($"{member} has no documentation.", nameof(member)),
    };

    // The dots of a constructor, and of an interface that is implemented by name, are hashes.
    private static string Qualified(MemberInfo member) => NameOf(member.DeclaringType!) + "." + member.Name.Replace('.', '#');

    private static string NameOf(Type type) => type.FullName!.Replace('+', '.');

    private static string Arity(MethodInfo method) =>
        method.IsGenericMethodDefinition ? "``" + method.GetGenericArguments().Length.ToString(CultureInfo.InvariantCulture) : "";

    private static string Conversion(MethodInfo method) =>
        method.IsSpecialName && method.Name is "op_Implicit" or "op_Explicit" ? "~" + Referred(method.ReturnType) : "";

    private static string Parameters(ParameterInfo[] parameters) =>
        parameters.Length == 0
            ? ""
            : "(" + string.Join(',', parameters.Select(static parameter => Referred(parameter.ParameterType))) + ")";

    private static string Referred(Type type)
    {
        if (type.IsByRef)
        {
            return Referred(type.GetElementType()!) + "@";
        }

        if (type.IsPointer)
        {
            return Referred(type.GetElementType()!) + "*";
        }

        if (type.IsArray)
        {
            int rank = type.GetArrayRank();
            return Referred(type.GetElementType()!) + (rank == 1 ? "[]" : "[" + string.Join(',', Enumerable.Repeat("0:", rank)) + "]");
        }

        if (type.IsGenericParameter)
        {
            string position = type.GenericParameterPosition.ToString(CultureInfo.InvariantCulture);
            return (type.IsGenericMethodParameter ? "``" : "`") + position;
        }

        return type.IsGenericType ? Constructed(type) : NameOf(type);
    }

    // Outer`1+Inner`2 of three arguments is Outer{a}.Inner{b,c}.
    private static string Constructed(Type type)
    {
        Queue<string> arguments = new(type.GetGenericArguments().Select(Referred));
        IEnumerable<string> parts = type.GetGenericTypeDefinition().FullName!.Split('+').Select(part =>
        {
            string[] nameAndArity = part.Split('`');
            return nameAndArity.Length == 1
                ? part
                : nameAndArity[0] + "{" + string.Join(',', Take(arguments, int.Parse(nameAndArity[1], CultureInfo.InvariantCulture))) + "}";
        });
        return string.Join('.', parts);
    }

    private static List<string> Take(Queue<string> arguments, int count)
    {
        List<string> taken = new(count);
        while (taken.Count < count)
        {
            taken.Add(arguments.Dequeue());
        }

        return taken;
    }
}
