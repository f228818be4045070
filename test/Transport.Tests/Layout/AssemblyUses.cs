using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace KestrelNetpoll.Transport.Tests.Layout;

/// <summary>
/// Which types the types of an assembly use: in signatures, fields, bases, attributes and, above all, in what their methods do. A member
/// that is reached through two others (<c>socket.Group.Poller</c>) shows here and in no using. What the compiler resolves, constants and
/// names, does not.
/// </summary>
internal sealed class AssemblyUses : IDisposable
{
    private static readonly Dictionary<int, OpCode> OpCodes = typeof(OpCodes)
        .GetFields()
        .Select(static field => (OpCode)field.GetValue(null)!)
        .ToDictionary(static code => (int)(ushort)code.Value);

    private readonly PEReader _file;
    private readonly MetadataReader _reader;
    private readonly Names _names;
    private readonly HashSet<(string From, string To)> _uses = [];
    private string _from = "";

    private AssemblyUses(string path)
    {
        _file = new PEReader(File.OpenRead(path));
        _reader = _file.GetMetadataReader();
        _names = new Names(name => _uses.Add((_from, name)));
    }

    /// <summary>Pairs of full names; of a nested type, or one that the compiler has made, the name of the outermost one.</summary>
    internal static IReadOnlySet<(string From, string To)> Of(System.Reflection.Assembly assembly)
    {
        using var uses = new AssemblyUses(assembly.Location);
        foreach (TypeDefinitionHandle type in uses._reader.TypeDefinitions)
        {
            uses.Add(type);
        }

        uses._uses.RemoveWhere(static use => use.From == use.To);
        return uses._uses;
    }

    public void Dispose() => _file.Dispose();

    private void Add(TypeDefinitionHandle handle)
    {
        TypeDefinition type = _reader.GetTypeDefinition(handle);
        _from = Names.Of(_reader, handle);
        AddToken(type.BaseType);
        foreach (InterfaceImplementationHandle implemented in type.GetInterfaceImplementations())
        {
            AddToken(_reader.GetInterfaceImplementation(implemented).Interface);
        }

        foreach (FieldDefinitionHandle field in type.GetFields())
        {
            _reader.GetFieldDefinition(field).DecodeSignature(_names, null);
        }

        foreach (CustomAttributeHandle attribute in type.GetCustomAttributes())
        {
            AddToken(_reader.GetCustomAttribute(attribute).Constructor);
        }

        foreach (MethodDefinitionHandle methodHandle in type.GetMethods())
        {
            MethodDefinition method = _reader.GetMethodDefinition(methodHandle);
            method.DecodeSignature(_names, null);
            if (method.RelativeVirtualAddress != 0)
            {
                Add(_file.GetMethodBody(method.RelativeVirtualAddress));
            }
        }
    }

    private void Add(MethodBodyBlock body)
    {
        if (!body.LocalSignature.IsNil)
        {
            _reader.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(_names, null);
        }

        foreach (ExceptionRegion region in body.ExceptionRegions)
        {
            AddToken(region.CatchType);
        }

        BlobReader il = body.GetILReader();
        while (il.RemainingBytes != 0)
        {
            int value = il.ReadByte();
            OpCode code = OpCodes[value == 0xFE ? (value << 8) | il.ReadByte() : value];
            switch (code.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    AddToken(MetadataTokens.EntityHandle(il.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    int targets = il.ReadInt32();
                    il.Offset += targets * sizeof(int);
                    break;
                default:
                    il.Offset += Size(code.OperandType);
                    break;
            }
        }
    }

    private static int Size(OperandType operand) => operand switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };

    private void AddToken(EntityHandle handle)
    {
        if (handle.IsNil)
        {
            return;
        }

        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition:
                _names.GetTypeFromDefinition(_reader, (TypeDefinitionHandle)handle, 0);
                break;
            case HandleKind.TypeReference:
                _names.GetTypeFromReference(_reader, (TypeReferenceHandle)handle, 0);
                break;
            case HandleKind.TypeSpecification:
                _reader.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(_names, null);
                break;
            case HandleKind.FieldDefinition:
                FieldDefinition field = _reader.GetFieldDefinition((FieldDefinitionHandle)handle);
                AddToken(field.GetDeclaringType());
                field.DecodeSignature(_names, null);
                break;
            case HandleKind.MethodDefinition:
                MethodDefinition method = _reader.GetMethodDefinition((MethodDefinitionHandle)handle);
                AddToken(method.GetDeclaringType());
                method.DecodeSignature(_names, null);
                break;
            case HandleKind.MethodSpecification:
                MethodSpecification specification = _reader.GetMethodSpecification((MethodSpecificationHandle)handle);
                AddToken(specification.Method);
                specification.DecodeSignature(_names, null);
                break;
            case HandleKind.MemberReference:
                MemberReference member = _reader.GetMemberReference((MemberReferenceHandle)handle);
                AddToken(member.Parent);
                if (member.GetKind() == MemberReferenceKind.Field)
                {
                    member.DecodeFieldSignature(_names, null);
                }
                else
                {
                    member.DecodeMethodSignature(_names, null);
                }

                break;
        }
    }

    /// <summary>Tells of each type that a signature names. What it builds of them is of no interest.</summary>
    private sealed class Names(Action<string> tell) : ISignatureTypeProvider<bool, object?>
    {
        internal static string Of(MetadataReader reader, TypeDefinitionHandle handle)
        {
            TypeDefinition type = reader.GetTypeDefinition(handle);
            return type.GetDeclaringType() is { IsNil: false } outer
                ? Of(reader, outer)
                : FullName(reader, type.Namespace, type.Name);
        }

        public bool GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
        {
            tell(Of(reader, handle));
            return true;
        }

        public bool GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind)
        {
            TypeReference type = reader.GetTypeReference(handle);
            if (type.ResolutionScope.Kind == HandleKind.TypeReference)
            {
                return GetTypeFromReference(reader, (TypeReferenceHandle)type.ResolutionScope, rawTypeKind);
            }

            tell(FullName(reader, type.Namespace, type.Name));
            return true;
        }

        public bool GetTypeFromSpecification(
            MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public bool GetArrayType(bool elementType, ArrayShape shape) => true;

        public bool GetByReferenceType(bool elementType) => true;

        public bool GetFunctionPointerType(MethodSignature<bool> signature) => true;

        public bool GetGenericInstantiation(bool genericType, ImmutableArray<bool> typeArguments) => true;

        public bool GetGenericMethodParameter(object? genericContext, int index) => true;

        public bool GetGenericTypeParameter(object? genericContext, int index) => true;

        public bool GetModifiedType(bool modifier, bool unmodifiedType, bool isRequired) => true;

        public bool GetPinnedType(bool elementType) => true;

        public bool GetPointerType(bool elementType) => true;

        public bool GetPrimitiveType(PrimitiveTypeCode typeCode) => true;

        public bool GetSZArrayType(bool elementType) => true;

        private static string FullName(MetadataReader reader, StringHandle ns, StringHandle name) =>
            $"{reader.GetString(ns)}.{reader.GetString(name)}";
    }
}
