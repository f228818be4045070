using System.Reflection;

namespace PublicDocumentation;

/// <summary>What code outside of an assembly can name: public, or protected in a type that can be derived from.</summary>
internal static class VisibleMembers
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static IEnumerable<MemberInfo> Of(Assembly assembly) =>
        assembly.GetTypes().Where(IsVisible).SelectMany(static type => type.GetMembers(Declared).Where(IsVisible).Prepend(type));

    private static bool IsVisible(MemberInfo member) => member switch
    {
        Type { IsNested: false } type => type.IsPublic,
        Type type => IsVisible(type.DeclaringType!)
            && (type.IsNestedPublic || Inherited(type, type.IsNestedFamily || type.IsNestedFamORAssem)),
        FieldInfo field => field.IsPublic || Inherited(field, field.IsFamily || field.IsFamilyOrAssembly),
        MethodBase method => method.IsPublic || Inherited(method, method.IsFamily || method.IsFamilyOrAssembly),
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
        EventInfo @event => IsVisible(@event.AddMethod!),
        _ => false,
    };

    // A finalizer is protected, even of a sealed class.
    private static bool Inherited(MemberInfo member, bool isProtected) => isProtected && !member.DeclaringType!.IsSealed;
}
